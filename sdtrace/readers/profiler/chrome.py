"""Chrome and torch-profiler traces: one window a step, with the time of its draft, verification and sampling.

Of a process the spans on the device (`gpu_user_annotation`, kernels) count where there are any, else those of the host: a host's
span of work that runs on a device is the time of launching it. A span inside one of another part belongs to the outer one.
Overlapping spans of one part count once, whatever thread or stream they are on.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sdtrace.readers.io.source import Source
from sdtrace.readers.json_value import DEPTH
from sdtrace.readers.profiler.events import EventFacts, begins, events
from sdtrace.readers.profiler.names import of_the_host, role
from sdtrace.readers.profiler.steps import Spans, steps
from sdtrace.readers.reader import Reader, of_text
from sdtrace.schema.counters import Row, from_rows
from sdtrace.schema.trace import Batch, Event, Loss, Notice, no_tables, other_lines

#: Spans that are kept of one file: two hours of steps of a millisecond.
MOST = 20_000_000
#: Categories of what runs on a device.
_DEVICE = frozenset({"gpu_user_annotation", "kernel", "gpu_memcpy", "gpu_memset"})
#: Names of somebody's own annotations that are told where they are no part of a step.
NAMED = 5


def sniff(head: bytes) -> str | None:
    """None where the head is that of a Chrome trace."""
    return None if begins(head) else "no list `traceEvents`"


@dataclass
class _Heard:
    """Spans of one file by process, and what else there was."""

    spans: dict[str, Spans] = field(default_factory=lambda: defaultdict(Spans))
    open_: dict[tuple[str, str], list[tuple[str, float]]] = field(default_factory=lambda: defaultdict(list))
    engines: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    used: int = 0
    other: int = 0
    damaged: int = 0


def batches(src: Source) -> Iterator[Batch]:
    """The whole file as one batch: a window a step of each process, in the order of their beginnings."""
    told, heard = EventFacts(), _Heard()
    for event in events(src, told):
        _hear(heard, event)
    rows: list[Row] = []
    notices: list[Notice] = []
    begin = (told.base_ns or 0) / 1e9
    for name, spans in heard.spans.items():
        found = steps(spans)
        heard.used -= found.dropped
        heard.other += found.dropped
        notices += [Notice(src.path, None, what, count, advice) for what, count, advice in found.notes]
        rows += [_row(row, name, begin, _engine(heard)) for row in found.rows]
    rows.sort(key=lambda row: (row["at"] is None, row["at"] or 0.0))
    rows = [row | {"line": number} for number, row in enumerate(rows, start=1)]
    windows = from_rows(src.path, rows)
    losses = _losses(src.path, told, heard, steps=bool(rows))
    notices += _unknown(src.path, heard) if rows else []
    lines = heard.used + sum(loss.count for loss in losses)
    src.reading.met.extend((None, error) for error in told.limits)
    events_ = [] if told.version is None else [_version(src.path, told.version)]
    yield Batch(src.path, lines, *no_tables(), losses, notices, windows, events_, records=heard.used)


def _version(path: str, version: str) -> Event:
    return Event(path, None, None, "vllm", "version", "version of the engine", version)


def _row(row: dict[str, Any], process: str, begin: float, engine: str) -> Row:
    at = begin + row.pop("begin") / 1e6
    return {
        "at": at,
        "engine": engine,
        "surface": "profiler spans",
        "basis": "iteration",
        "series": f"process {process}",
        **row,
    }


def _engine(heard: _Heard) -> str:
    return heard.engines.most_common(1)[0][0] if heard.engines else "profiler"


def _hear(heard: _Heard, event: dict[str, Any]) -> None:
    """Book one event. A span that begins and ends in two events is whole with its end."""
    phase, name, ts = event.get("ph"), event.get("name"), _number(event.get("ts"))
    place = (str(event.get("pid"))[:40], str(event.get("tid"))[:40])
    if phase == "E" and ts is not None:
        if stack := heard.open_[place]:
            name, begun = stack.pop()
            _span(heard, event | {"name": name}, place, begun, ts)
        else:
            heard.damaged += 1
        return
    if phase not in ("X", "B") or not isinstance(name, str):
        heard.other += 1
        return
    lasts = _number(event.get("dur")) if phase == "X" else 0.0
    if ts is None or lasts is None or lasts < 0:
        heard.damaged += 1
    elif phase == "B":
        heard.other += 1  # its end carries the span
        if len(heard.open_[place]) < DEPTH * DEPTH:
            heard.open_[place].append((name, ts))
    else:
        _span(heard, event, place, ts, ts + lasts)


def _span(heard: _Heard, event: dict[str, Any], place: tuple[str, str], begin: float, end: float) -> None:
    name, category = event["name"], event.get("cat")
    device = category in _DEVICE
    if category == "kernel":
        heard.spans[place[0]].busy(begin, end)
    found = role(name)
    if found is None or heard.used >= MOST:
        heard.other += 1
        if (
            category in ("user_annotation", "gpu_user_annotation")
            and len(heard.unknown) < 10_000
            and not of_the_host(name)
        ):
            heard.unknown[name[:60]] += 1
        return
    which, engine = found
    if engine is not None:
        heard.engines[engine] += 1
    heard.used += 1
    own = engine == "transformers" and which == "verify"
    heard.spans[place[0]].add(which, place[1], begin, end, device=device, module=own)


def _number(value: Any) -> float | None:
    """Microseconds: a finite number within reason. Some writers put numbers into quotes."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e17 and np.isfinite(value) else None


def _losses(path: str, facts: EventFacts, heard: _Heard, *, steps: bool) -> list[Loss]:
    found = []
    if facts.damaged:
        advice = "the file was cut or changed behind the profiler; export it again"
        found.append(
            Loss(path, None, f"a damaged event, the first is number {facts.first_damaged}", facts.damaged, advice)
        )
    if facts.cut:
        found.append(
            Loss(path, None, "the list of events has no end", 1, "what came before was read; the profiler was stopped")
        )
    if facts.strange:
        found.append(Loss(path, None, "a value that is no event", facts.strange, "see what wrote the file"))
    if heard.damaged:
        found.append(
            Loss(
                path, None, "a span without a time, a duration or a beginning", heard.damaged, "see what wrote the file"
            )
        )
    unended = sum(len(stack) for stack in heard.open_.values())
    if not steps:
        advice = 'annotate the parts of a step: record_function("draft"), ("verify"), ("sample"), or name them: --span draft=NAME'
        found.append(
            Loss(
                path, None, "events, none of them a span of a draft, a verification or a sampling", heard.other, advice
            )
        )
    elif heard.other:
        found.append(other_lines(path, heard.other, "expected in a profile"))
    if unended:
        found.append(Loss(path, None, "a span that does not end", 0, "the profiler was stopped in it"))
    return [loss for loss in found if loss.count]


def _unknown(path: str, heard: _Heard) -> list[Notice]:
    """Annotations of other names: what they cover is in no part, and may be one that is called otherwise."""
    named = heard.unknown.most_common(NAMED)
    if not named:
        return []
    told = ", ".join(f"'{name}'" for name, _ in named)
    what = f"annotations that are no part of a step: {told}{' and others' if len(heard.unknown) > NAMED else ''}"
    advice = "their time counts as unattributed; --span draft='NAME' (or verify, sample, step) says what one is"
    return [Notice(path, None, what, sum(heard.unknown.values()), advice)]


READER = Reader(
    name="chrome-trace",
    says="Chrome trace events: torch profiler of vLLM, SGLang, Transformers",
    looks_for='a list `"traceEvents"`, or events with `"ph"`',
    refuse=of_text(sniff),
    batches=batches,
)
