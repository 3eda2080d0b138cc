"""Answers of log stores and exports of their pages: Loki, Elasticsearch, Datadog, OpenTelemetry, CloudWatch, Google, Azure,
Splunk, Grafana. Every entry becomes its line again, oldest first, the time of the entry in front where the line can bear it.
"""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import orjson

from sdtrace.readers.envelopes.shippers import moment, timed
from sdtrace.readers.envelopes.text import Bare, Envelope, Lines, begins, full
from sdtrace.schema.json_values import Json

_MESSAGES = (
    "line",
    "message",
    "log",
    "MESSAGE",
    "msg",
    "body",
    "textPayload",
    "_raw",
    "@message",
    "Message",
    "Line",
    "LogMessage",
    "LogEntry",
)
_TIMES = (
    "timestamp",
    "@timestamp",
    "time",
    "timeUnixNano",
    "observedTimeUnixNano",
    "_time",
    "__REALTIME_TIMESTAMP",
    "ts",
    "date",
    "Time",
    "Date",
    "TimeGenerated",
    "receiveTimestamp",
    "ingestionTime",
)
_PODS = (
    "pod",
    "pod_name",
    "k8s.pod.name",
    "kubernetes_pod_name",
    "kubernetes.pod.name",
    "PodName",
    "ContainerName",
    "container_name",
    "container",
    "instance",
    "service_instance_id",
    "logStreamName",
    "host",
    "Host",
)
_ISO = re.compile(r"\d{4}-\d\d-\d\d|\d\d:\d\d")
#: What a table says of its clock behind the name of the column.
_ZONE = re.compile(r"[\[(](?:UTC|GMT|local)[\])]$", re.IGNORECASE)
#: keys that a shipper's own line has; such lines are taken off where they are heard, each for itself
_HEARD = ("log", "MESSAGE", "message", "msg")


@dataclass(frozen=True)
class Entry:
    """One entry of a store: its time as ISO text, who wrote it, its text."""

    at: str
    pod: str
    text: str


def answer(lines: Lines) -> Bare | None:
    """The entries of one JSON document, or of one a line."""
    inside = full(lines)
    whole = _json("\n".join(text for _, text in inside)) if inside else None
    if whole is not None:
        found = [(inside[0][0], entry) for entry in entries(whole)]
        return None if not found else Bare(in_order(found))
    if not inside or not all(text.lstrip()[:1] in "{[" for _, text in inside[:20]):
        return None
    made: list[tuple[int, Entry]] = []
    empty = 0
    for n, text in inside:
        node = _json(text)
        mine = [] if node is None else entries(node)
        made += [(n, entry) for entry in mine]
        empty += not mine
        if empty > 0.2 * len(inside):
            return None
    return Bare(in_order(made), len(lines) - (len(inside) - empty))


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def in_order(entries: list[tuple[int, Entry]]) -> Lines:
    """Oldest first; entries of one moment in the order of the store, which is turned where the store gives the newest first."""
    times = [entry.at for _, entry in entries if entry.at]
    falls, rises = sum(b < a for a, b in pairwise(times)), sum(b > a for a, b in pairwise(times))
    if falls > rises:
        entries = entries[::-1]
    if len(times) == len(entries):
        entries = sorted(entries, key=lambda pair: pair[1].at)
    several = len({entry.pod for _, entry in entries}) > 1
    heads = [f"[pod/{entry.pod}] {entry.at}" if several and entry.pod else entry.at for _, entry in entries]
    return timed([(n, head, entry.text) for (n, entry), head in zip(entries, heads, strict=True)])


def entries(node: Any) -> list[Entry]:
    """The entries of a document by the shapes that stores have; [] where it is none of them."""
    if isinstance(node, list):
        if node and all(isinstance(one, str) for one in node):
            return [Entry("", "", one) for one in node]
        flat = [e for one in node if isinstance(one, dict) for e in _flat(one, heard=True)]
        return flat if flat and len(flat) >= 0.8 * len(node) else [e for one in node for e in entries(one)]
    if not isinstance(node, dict):
        return []
    for shape in (_loki, _elastic, _telemetry, _datadog, _listed, _tables, _frames):
        if found := list(shape(node)):
            return found
    return list(_flat(node, heard=False))


def _loki(node: Json) -> Iterator[Entry]:
    data = node.get("data", node)
    streams = data.get("result", data.get("streams")) if isinstance(data, dict) else None
    for stream in streams if isinstance(streams, list) else []:
        labels = stream.get("stream", stream.get("labels")) if isinstance(stream, dict) else None
        if not isinstance(labels, dict):
            continue
        for value in stream.get("values", []):
            if isinstance(value, list) and len(value) > 1 and isinstance(value[1], str):
                yield Entry(moment(value[0]), _pod(labels), value[1])


def _elastic(node: Json) -> Iterator[Entry]:
    """The hits of an answer, or one hit alone, as a dump of an index has it on each line."""
    hits = {"hits": [node]} if isinstance(node.get("_source"), dict) else node.get("hits")
    for hit in hits.get("hits", []) if isinstance(hits, dict) and isinstance(hits.get("hits"), list) else []:
        source = hit.get("_source", hit.get("fields")) if isinstance(hit, dict) else None
        if isinstance(source, dict):
            yield from _flat(
                {k: v[0] if isinstance(v, list) and len(v) == 1 else v for k, v in source.items()}, heard=True
            )


def _telemetry(node: Json) -> Iterator[Entry]:
    for resource in _lists(node, "resourceLogs"):
        pod = _pod(_attributes(resource.get("resource")))
        for scope in [*_lists(resource, "scopeLogs"), *_lists(resource, "instrumentationLibraryLogs")]:
            for record in _lists(scope, "logRecords"):
                body = record.get("body")
                text = body.get("stringValue") if isinstance(body, dict) else body
                if isinstance(text, str):
                    yield Entry(_time(record), _pod(_attributes(record)) or pod, text)


def _datadog(node: Json) -> Iterator[Entry]:
    for one in [*_lists(node, "data"), *_lists(node, "logs")]:
        inner = one.get("attributes", one.get("content"))
        if isinstance(inner, dict):
            yield from _flat(inner, heard=True)


def _listed(node: Json) -> Iterator[Entry]:
    """Lists of flat entries (CloudWatch, Google, Splunk), and CloudWatch Insights' rows of fields."""
    for name in ("events", "entries", "results", "result", "rows", "hits", "data", "items"):
        found = node.get(name)
        for one in found if isinstance(found, list) else [found] if isinstance(found, dict) else []:
            if isinstance(one, dict):
                yield from _flat(one, heard=True)
            elif isinstance(one, list) and one and all(isinstance(f, dict) and "field" in f for f in one):
                yield from _flat({f["field"]: f.get("value") for f in one}, heard=True)


def _tables(node: Json) -> Iterator[Entry]:
    """Azure Monitor: columns by name, rows of values."""
    for table in _lists(node, "tables"):
        names = [column.get("name") for column in _lists(table, "columns")]
        rows = table.get("rows")
        for row in rows if isinstance(rows, list) else []:
            if isinstance(row, list):
                yield from _flat(dict(zip(names, row, strict=False)), heard=True)


def _frames(node: Json) -> Iterator[Entry]:
    """Grafana's data frames: a list of values for every field."""
    results = node.get("results")
    for result in results.values() if isinstance(results, dict) else []:
        for frame in _lists(result, "frames") if isinstance(result, dict) else []:
            schema, data = frame.get("schema"), frame.get("data")
            values = data.get("values") if isinstance(data, dict) else None
            if (
                not isinstance(schema, dict)
                or not isinstance(values, list)
                or not all(isinstance(v, list) for v in values)
            ):
                continue
            names = [field.get("name") for field in _lists(schema, "fields")]
            for row in zip(*values, strict=False):
                yield from _flat(dict(zip(names, row, strict=False)), heard=True)


def _flat(node: dict[Any, Any], *, heard: bool) -> Iterator[Entry]:
    """One entry whose text stands in it; `heard`: also under a name that a shipper's own line has."""
    name = next((n for n in _MESSAGES if isinstance(node.get(n), str) and (heard or n not in _HEARD)), None)
    if name is not None and (_time(node) or name not in _HEARD or len(node) == 1):
        yield Entry(_time(node), _pod(node), _whole(node, node[name]))
    elif heard and isinstance(inner := node.get("jsonPayload", node.get("attributes")), dict):
        for entry in _flat(inner, heard=True):
            yield Entry(entry.at or _time(node), entry.pod or _pod(node), entry.text)


def _whole(node: dict[Any, Any], text: str) -> str:
    """A record of a Python logger stays JSON: its level and process are part of the line that it stands for."""
    return json.dumps(node) if "levelname" in node or "vllm_process_name" in node else text


def _lists(node: dict[Any, Any], name: str) -> list[dict[Any, Any]]:
    found = node.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _time(node: dict[Any, Any]) -> str:
    """Its first time that ISO writes or a number is: the order of day and month is another one in every country."""
    told = (moment(node[name]) for name in _TIMES if name in node)
    return next((at for at in told if _ISO.match(at)), "")


def _attributes(node: Any) -> dict[Any, Any]:
    """OpenTelemetry's attributes as a dict."""
    pairs = _lists(node, "attributes") if isinstance(node, dict) else []
    return {p.get("key"): p["value"].get("stringValue") for p in pairs if isinstance(p.get("value"), dict)}


def _pod(labels: dict[Any, Any]) -> str:
    """Who wrote it, by the label that names it most closely."""
    known: dict[Any, Any] = dict(labels)
    for name in ("kubernetes", "resource", "labels", "stream"):
        inner = labels.get(name)
        if isinstance(inner, dict):
            known |= inner.get("labels", inner) if isinstance(inner.get("labels", inner), dict) else {}
            known |= (
                {"pod": inner["pod"]["name"]} if isinstance(inner.get("pod"), dict) and "name" in inner["pod"] else {}
            )
    name = next((str(known[n]) for n in _PODS if isinstance(known.get(n), str) and known[n]), "")
    return "".join(c for c in name if c.isalnum() or c in "-_./")[-80:].lstrip("-./_0123456789")


def table(lines: Lines) -> Bare | None:
    """An export as CSV: a column of lines, mostly one of times too."""
    inside = full(lines)
    head = next(csv.reader(io.StringIO(inside[0][1]))) if inside and "," in inside[0][1] else []
    names = {_ZONE.sub("", name.strip()).strip(): i for i, name in enumerate(head)}
    column = next((names[n] for n in _MESSAGES if n in names), None)
    if column is None or len(names) < 2 or not any(n in names for n in (*_TIMES, *_PODS)):
        return None
    found: list[tuple[int, Entry]] = []
    rows = csv.reader(io.StringIO("\n".join(text for n, text in lines if n > inside[0][0])))
    for row in rows:
        if len(row) > column:
            node = dict(zip(names, row, strict=False))
            found.append((inside[0][0] + rows.line_num, Entry(_time(node), _pod(node), row[column])))
    return Bare(in_order(found), 1) if found else None


ENVELOPES = (
    Envelope("answer of a log store", begins("{", "["), answer),
    Envelope("export as CSV", lambda text: "," in text[:400], table),
)
