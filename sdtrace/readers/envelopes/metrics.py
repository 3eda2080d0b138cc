"""Series of Prometheus in other clothes: answers of its HTTP API, tables of its page, promtool, CSV of Grafana, OpenTelemetry.
They become an exposition again, scrape by scrape.
"""

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

import orjson

from sdtrace.readers.envelopes.shippers import moment
from sdtrace.readers.envelopes.text import Bare, Envelope, Lines, full, holds, record_of
from sdtrace.readers.logs.clock import iso
from sdtrace.readers.metrics.series import BEGINS

_NAME = r"(?:[a-zA-Z_:][\w:]*(?:\{[^{}]*\})?|\{[^{}]*\})"
_ROW = re.compile(
    rf"^\s*+\|?\s*+`?({_NAME})`? *+(?:\||\t|=>)\s*+`?(-?[\d.,]+(?:e[+-]?\d+)?|NaN)`?(?: *@\[?([\d.]+)\]?)?\s*+\|?\s*+$"
)
#: OpenTelemetry's names of the places that Prometheus' labels name, and those of a resource that are kept.
_LABEL = {"k8s.pod.name": "pod", "service.instance.id": "instance", "host.name": "hostname"}
_PLACES = frozenset(_LABEL.values())
_DELTA = (1, "AGGREGATION_TEMPORALITY_DELTA")
Sample = tuple[float, str, str]


def api(lines: Lines) -> Bare | None:
    """query and query_range as the HTTP API answers them, or the list inside."""
    inside = full(lines)
    try:
        node = orjson.loads("\n".join(text for _, text in inside)) if inside else None
    except orjson.JSONDecodeError:
        return None
    data = node.get("data", node) if isinstance(node, dict) else node
    series = data.get("result") if isinstance(data, dict) else data
    found: list[Sample] = []
    for one in series if isinstance(series, list) else []:
        if not isinstance(one, dict) or not isinstance(labels := one.get("metric"), dict):
            return None
        values = one.get("values", [one["value"]] if "value" in one else [])
        for value in values if isinstance(values, list) else []:
            if isinstance(value, list) and len(value) == 2 and isinstance(value[0], int | float):
                found.append((float(value[0]), _series(labels), str(value[1])))
    return _exposition(found, inside[0][0], len(lines) - 1) if found else None


def _series(labels: dict[str, Any]) -> str:
    inner = ",".join(f'{n}="{_escaped(str(v))}"' for n, v in labels.items() if n != "__name__")
    return f"{labels.get('__name__', '')}{{{inner}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _exposition(samples: list[Sample], line: int, around: int) -> Bare:
    ordered = sorted(samples, key=lambda sample: sample[0])
    return Bare([(line, f"{name} {value} {round(at * 1000)}") for at, name, value in ordered], around)


def telemetry(lines: Lines) -> Bare | None:
    """OpenTelemetry's metrics as JSON: data points of sums and gauges, with the time of each; one document, or one a line."""
    inside = full(lines)
    nodes = [node for _, text in inside if (node := record_of(text)) is not None]
    if len(nodes) < len(inside):
        whole = record_of("\n".join(text for _, text in inside))
        nodes = [] if whole is None else [whole]
    found = [sample for node in nodes for sample in _points(node)]
    return _exposition(found, inside[0][0], len(lines) - 1) if found else None


def _points(node: dict[str, Any]) -> Iterator[Sample]:
    """Samples of totals; what a delta added is added up from the start that it names."""
    totals: dict[str, float] = {}
    for resource in _dicts(node.get("resourceMetrics")):
        place = {n: v for n, v in _labels(resource.get("resource")).items() if n in _PLACES}
        for scope in _dicts(resource.get("scopeMetrics", resource.get("instrumentationLibraryMetrics"))):
            for metric in _dicts(scope.get("metrics")):
                kind = metric.get("sum", metric.get("gauge"))
                if not isinstance(kind, dict):
                    continue
                for point in _dicts(kind.get("dataPoints")):
                    series = _series({"__name__": str(metric.get("name"))} | place | _labels(point))
                    yield from _samples(point, series, totals if kind.get("aggregationTemporality") in _DELTA else None)


def _samples(point: dict[str, Any], series: str, totals: dict[str, float] | None) -> Iterator[Sample]:
    at, start = (str(point.get(name, "")) for name in ("timeUnixNano", "startTimeUnixNano"))
    try:
        value = float(str(point.get("asDouble", point.get("asInt"))))  # an integer of 64 bits is a text in JSON
    except ValueError:
        return
    if not at.isdigit():
        return
    if totals is not None:
        if series not in totals and start.isdigit():
            yield int(start) / 1e9, series, "0"
        value = totals[series] = totals.get(series, 0.0) + value
    yield int(at) / 1e9, series, str(value)


def _dicts(node: Any) -> list[dict[str, Any]]:
    return [one for one in node if isinstance(one, dict)] if isinstance(node, list) else []


def _labels(node: Any) -> dict[str, str]:
    """Attributes as labels, in the characters that a label has."""
    pairs = _dicts(node.get("attributes")) if isinstance(node, dict) else []
    named = {str(p.get("key")): p["value"] for p in pairs if isinstance(p.get("value"), dict)}
    return {_LABEL.get(n, re.sub(r"\W", "_", n)): str(next(iter(v.values()), "")) for n, v in named.items()}


def table(lines: Lines) -> Bare | None:
    """Rows `name{labels} | value`, as the page, Markdown or promtool have them."""
    made: Lines = []
    around = 0
    for n, text in lines:
        if m := _ROW.match(text):
            at = f" {round(float(m[3]) * 1000)}" if m[3] else ""
            made.append((n, f"{_plain(m[1])} {m[2].replace(',', '')}{at}"))
        elif text.strip() and set(text) <= set("|-: \t"):
            around += 1
        else:
            made.append((n, text))
    rows = [text for _, text in made if text.startswith(BEGINS)]
    changed = sum(bool(_ROW.match(text)) for _, text in lines)
    return Bare(made, around) if rows and changed >= 0.5 * len(rows) else None


def _plain(name: str) -> str:
    """`{__name__="a", b="c"}` as `a{b="c"}`."""
    before, found, rest = name.removeprefix("{").partition('__name__="')
    if not found or not name.startswith("{"):
        return name
    own, _, rest = rest.partition('"')
    labels = [part for part in (before.rstrip(", "), rest.removesuffix("}").lstrip(", ")) if part]
    return f"{own}{{{','.join(labels)}}}"


def wide(lines: Lines) -> Bare | None:
    """Grafana's CSV: a column of times, and one for every series."""
    inside = full(lines)
    rows = list(csv.reader(io.StringIO("\n".join(text for _, text in inside)))) if inside else []
    if not rows or len(rows[0]) < 2 or rows[0][0].strip().lower() not in ("time", "timestamp", "date"):
        return None
    names = [_plain(name.strip()) for name in rows[0]]
    if not any(name.startswith(BEGINS) for name in names[1:]):
        return None
    found: list[Sample] = []
    for row in rows[1:]:
        at = iso(moment(row[0]) or row[0]) if row else None
        for name, value in zip(names[1:], row[1:], strict=False):
            number = value.replace(",", "").strip()
            if at is not None and re.fullmatch(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", number):
                found.append((at, name, number))
    return _exposition(found, inside[0][0], 1) if found else None


_OURS = holds(*BEGINS)
ENVELOPES = (
    Envelope("answer of Prometheus", lambda text: '"metric"' in text and _OURS(text), api),
    Envelope("metrics of OpenTelemetry", lambda text: '"resourceMetrics"' in text and _OURS(text), telemetry),
    Envelope("table of Prometheus", lambda text: any(s in text for s in ("|", "\t", "=>")) and _OURS(text), table),
    Envelope("series as CSV", lambda text: "," in text[:4000] and _OURS(text), wide),
)
