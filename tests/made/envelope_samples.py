"""A text in every envelope that people send: name -> a function from the text to the bytes of a file.

`sums` are the figures that must come out the same, whatever stands around.
"""

import csv
import io
import json
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sdtrace.readers import open_one

BEGIN = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
Wrap = Callable[[str], bytes]


def _rows(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n")


def _indented(text: str, before: str = "") -> str:
    return "\n".join(before + json.dumps(json.loads(x), indent=2) for x in _rows(text))


def _at(n: int) -> str:
    return f"{BEGIN + timedelta(seconds=n):%Y-%m-%dT%H:%M:%S.000000000Z}"


def _ns(n: int) -> str:
    return str(int((BEGIN + timedelta(seconds=n)).timestamp()) * 10**9)


def _each(make: Callable[[int, str], str]) -> Wrap:
    return lambda text: ("\n".join(make(n, line) for n, line in enumerate(_rows(text))) + "\n").encode()


def _document(make: Callable[[list[str]], Any]) -> Wrap:
    return lambda text: json.dumps(make(_rows(text))).encode()


def _loki(lines: list[str], *, newest: bool = True) -> Any:
    values = [[_ns(n), line] for n, line in enumerate(lines)]
    result = [{"stream": {"namespace": "x", "pod": "vllm-0"}, "values": values[::-1] if newest else values}]
    return {"status": "success", "data": {"resultType": "streams", "result": result}}


def _cut(line: str, size: int = 60) -> list[str]:
    return [line[i : i + size] for i in range(0, len(line), size)] or [""]


def _cri(text: str) -> bytes:
    made = []
    for n, line in enumerate(_rows(text)):
        parts = _cut(line)
        made += [f"{_at(n)} stdout {'F' if i == len(parts) - 1 else 'P'} {part}" for i, part in enumerate(parts)]
    return ("\n".join(made) + "\n").encode()


def _docker(text: str) -> bytes:
    made = []
    for n, line in enumerate(_rows(text)):
        parts = _cut(f"{line}\n")
        made += [json.dumps({"log": part, "stream": "stdout", "time": _at(n)}) for part in parts]
    return ("\n".join(made) + "\n").encode()


def _csv(text: str) -> bytes:
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(["Date", "Host", "Service", "Message"])
    table.writerows([_at(n), "h", "vllm", line] for n, line in enumerate(_rows(text)))
    return out.getvalue().encode()


def _otel(lines: list[str]) -> Any:
    records = [
        {"timeUnixNano": _ns(n), "severityText": "INFO", "body": {"stringValue": line}} for n, line in enumerate(lines)
    ]
    resource = {"attributes": [{"key": "k8s.pod.name", "value": {"stringValue": "vllm-0"}}]}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": {}, "logRecords": records}]}]}


def _insights(lines: list[str]) -> Any:
    rows = [
        [{"field": "@timestamp", "value": _at(n)[:23]}, {"field": "@message", "value": line}]
        for n, line in enumerate(lines)
    ]
    return {"results": rows, "status": "Complete"}


def _grafana(lines: list[str]) -> Any:
    fields = [{"name": "Time"}, {"name": "Line"}]
    values = [[int(_ns(n)) // 10**6 for n in range(len(lines))], lines]
    return {"results": {"A": {"frames": [{"schema": {"fields": fields}, "data": {"values": values}}]}}}


def _pages(text: str) -> bytes:
    """Two indented answers one behind the other, as `aws logs` appends them."""
    events = [{"timestamp": int(_ns(n)) // 10**6, "message": line} for n, line in enumerate(_rows(text))]
    half = (len(events) + 1) // 2
    parts = [part for part in (events[:half], events[half:]) if part]
    return "".join(json.dumps({"events": part}, indent=4) + "\n" for part in parts).encode()


#: for every text
ENVELOPES: dict[str, Wrap] = {
    "UTF-16 with a mark": lambda text: text.encode("utf-16"),
    "UTF-16 without a mark, CRLF": lambda text: text.replace("\n", "\r\n").encode("utf-16-le"),
    "UTF-8 with a mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "quote": _each(lambda n, line: f"> {line}"),
    "quote in a quote": _each(lambda n, line: f"> > {line}"),
    "fence": lambda text: f"My log:\n\n```\n{text}```\n".encode(),
    "curl -i": lambda text: f"HTTP/1.1 200 OK\r\nserver: uvicorn\r\ncontent-type: text/plain\r\n\r\n{text}".encode(),
    "curl -v": lambda text: f"* Connected to h\n> GET / HTTP/1.1\n>\n< HTTP/1.1 200 OK\n< server: uvicorn\n<\n{text}".encode(),
    "CRI, whole lines": _each(lambda n, line: f"{_at(n)} stdout F {line}"),
    "CRI, P and F": _cri,
    "docker's JSON": _each(lambda n, line: json.dumps({"log": f"{line}\n", "stream": "stdout", "time": _at(n)})),
    "docker's JSON in pieces": _docker,
    "journald": _each(lambda n, line: json.dumps({"__REALTIME_TIMESTAMP": _ns(n)[:-3], "MESSAGE": line})),
    "journald, bytes": _each(lambda n, line: json.dumps({"__REALTIME_TIMESTAMP": _ns(n)[:-3], "MESSAGE": list(line.encode())})),
    "list of strings": _document(lambda lines: lines),
    "Loki": _document(_loki),
    "Loki, oldest first": _document(lambda lines: _loki(lines, newest=False)),
    "logcli": _each(lambda n, line: json.dumps({"labels": {"pod": "a"}, "line": line, "timestamp": _at(n)})),
    "Elasticsearch": _document(
        lambda lines: {"hits": {"hits": [{"_source": {"@timestamp": _at(n), "message": line}} for n, line in enumerate(lines)][::-1]}}
    ),
    "a dump of Elasticsearch": _each(lambda n, line: json.dumps({"_id": str(n), "_source": {"@timestamp": _at(n), "message": line}})),
    "Datadog": _document(
        lambda lines: {"data": [{"type": "log", "attributes": {"timestamp": _at(n), "message": x}} for n, x in enumerate(lines)][::-1]}
    ),
    "OpenTelemetry": _document(_otel),
    "CloudWatch": _document(lambda lines: {"events": [{"timestamp": int(_ns(n)) // 10**6, "message": x} for n, x in enumerate(lines)]}),
    "CloudWatch, page by page": _pages,
    "aws logs tail": _each(lambda n, line: f"{_at(n)[:23]}+00:00 vllm/server/0a1b2c {line}"),
    "syslog": _each(lambda n, line: f"Mar  2 10:00:{n % 60:02} gpubox engine[31]: {line}"),
    "CloudWatch Insights": _document(_insights),
    "Google Cloud": _document(lambda lines: [{"timestamp": _at(n), "textPayload": line} for n, line in enumerate(lines)][::-1]),
    "Splunk": _document(lambda lines: {"results": [{"_time": _at(n), "_raw": line} for n, line in enumerate(lines)][::-1]}),
    "Azure": _document(
        lambda lines: {
            "tables": [
                {
                    "columns": [{"name": "TimeGenerated"}, {"name": "LogMessage"}],
                    "rows": [[_at(n), x] for n, x in enumerate(lines)],
                }
            ]
        }
    ),
    "Grafana's frames": _document(_grafana),
    "CSV": _csv,
    "Loki in a quote": lambda text: b"> " + json.dumps(_loki(_rows(text))).encode() + b"\n",
    "journald in UTF-16": lambda text: "".join(json.dumps({"MESSAGE": list(x.encode())}) + "\n" for x in _rows(text)).encode("utf-16"),
}  # fmt: skip


def wrapped(width: int) -> Wrap:
    """As a terminal cuts lines at its edge."""
    return lambda text: ("\n".join(part for line in _rows(text) for part in _cut(line, width)) + "\n").encode()


def folded(width: int) -> Wrap:
    """As a mail breaks lines between words."""

    def fold(line: str) -> list[str]:
        return textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) or [""]

    return lambda text: ("\n".join(part for line in _rows(text) for part in fold(line)) + "\n").encode()


#: for texts of lines
LINES: dict[str, Wrap] = {
    "no-break spaces": lambda text: text.replace(" ", "\u00a0").encode(),
    "each line twice": lambda text: "".join(f"{line}\n{line}\n" for line in _rows(text)).encode(),
    "the text twice": lambda text: (text + text).encode(),
}
#: for JSON
JSON: dict[str, Wrap] = {
    "indented": lambda text: _indented(text).encode(),
    "glued": lambda text: "".join(_rows(text)).encode(),
    "list": lambda text: json.dumps([json.loads(x) for x in _rows(text)]).encode(),
    "list of strings": lambda text: json.dumps(_rows(text)).encode(),
    "indented in a fence": lambda text: ("```json\n" + _indented(text) + "\n```\n").encode(),
    "python logger": _each(lambda n, x: f"2026-11-23 10:00:{n:02},123 - client - INFO - {x}"),
    "go logger": _each(lambda n, x: f"2026/11/23 10:00:{n:02} main.go:41: response {x}"),
    "js logger": _each(lambda n, x: f"[2026-11-23T10:00:{n:02}.123Z] info: answer {x}"),
    "indented behind a logger": lambda text: _indented(text, "[10:00][INFO] got ").encode(),
}  # fmt: skip

_SUMS = ("drafts", "steps", "drafted", "accepted", "emitted", "generation_tps", "said_length")


def sums(path: Path) -> tuple[str, dict[str, float], int]:
    """(reader, sums over all windows and single decisions, records lost that speak of acceptance)."""
    opened = open_one(str(path), None)
    batches = list(opened.batches())
    lines = sum(b.lines for b in batches)
    taken = sum(b.runs.height + b.requests.height + b.steps.height + b.records for b in batches)
    assert lines == taken + sum(loss.count for b in batches for loss in b.losses), "lines are records or losses"
    found = dict.fromkeys((*_SUMS, "decisions"), 0.0)
    running: dict[tuple[str, ...], float] = {}
    for batch in batches:
        found["decisions"] += batch.steps.height
        for row in batch.windows.to_dicts() if batch.windows is not None else []:
            for name in _SUMS:
                if row["basis"] in ("lifetime", "counter"):  # totals: the last one tells
                    key = name, row["engine"], row["surface"], str(row["series"])
                    running[key] = max(running.get(key, 0.0), row[name] or 0.0)
                else:
                    found[name] += row[name] or 0.0
    for (name, *_), value in running.items():
        found[name] += value
    lost = sum(loss.count for b in batches for loss in b.losses if loss.kind != "other")
    return opened.format, {name: round(value, 6) for name, value in found.items()}, lost
