"""Steps as Chrome trace events, which Perfetto and chrome://tracing draw: a process a run, a thread a request.

A span a step, and inside it one for each part that has a recorded duration. A record of format 1 says how long parts took, not
when each began: they are drawn one behind the other from the beginning of the step, and `args` hold the recorded milliseconds.
Spans hold no token, no text and no tag.
"""

from collections.abc import Iterator
from typing import Any

import orjson
import polars as pl

from sdtrace.redaction import nameless
from sdtrace.schema.keys import keyed
from sdtrace.schema.run import Run, runs_of
from sdtrace.verify.positions import derive
from sdtrace.version import VERSION
from sdtrace.writers.bundle import Piece

_PARTS = ("draft", "verify", "sample")
#: What of a step is shown beside its span.
_SHOWN = ("batch_size", "batch_tokens", "context_len", "graph", "rank", "engine_step", "step_ms")
_KEYS = ["run_id", "request_id"]
_US, _MS = 1e6, 1e3

Event = dict[str, Any]


def events(part: Piece) -> list[Event]:
    """The trace events of `part`, times in microseconds since its first step; [] where no step has a time or a duration."""
    stops = part.requests.select(*_KEYS, "stop_token_ids")
    steps = derive(keyed(part.steps.join(stops, on=_KEYS, how="left", maintain_order="left")))
    begin = steps["at"].min()
    begin = begin if isinstance(begin, float) else 0.0
    named: list[Event] = []
    spans: list[Event] = []
    runs = runs_of(part.runs)
    for pid, ((run_id,), of_run) in enumerate(steps.group_by("run_id", maintain_order=True), start=1):
        named.append(_named("process_name", pid, None, _process(runs.get(str(run_id), Run()))))
        for tid, ((request_id,), mine) in enumerate(of_run.group_by("request_id", maintain_order=True), start=1):
            named.append(_named("thread_name", pid, tid, str(request_id)[:200]))
            spans += [{"pid": pid, "tid": tid} | event for event in _request(mine.sort("step"), begin)]
    return [*named, *spans] if spans else []


def dumps(part: Piece) -> bytes | None:
    """The file; None where no step has a time or a duration."""
    made = events(part)
    if not made:
        return None
    begin = part.steps["at"].min()
    about = {"tool": f"sdtrace {VERSION}", "begins_at_unix_s": begin, "parts": "one behind the other, as recorded"}
    return orjson.dumps({"traceEvents": made, "displayTimeUnit": "ms", "otherData": about}) + b"\n"


def _named(what: str, pid: int, tid: int | None, name: str) -> Event:
    return {"ph": "M", "name": what, "pid": pid, "tid": tid or 0, "args": {"name": name}}


def _process(run: Run) -> str:
    told = " ".join(name for name in (run.engine, run.engine_version, run.method) if name)
    return nameless(told)[:200] or "engine not told"


def _request(steps: pl.DataFrame, begin: float) -> Iterator[Event]:
    """Spans of one request. A step without a time stands behind the one before it; one without a duration is an instant."""
    rows = list(steps.iter_rows(named=True))
    free = 0.0  # where the step before ends
    for row, after in zip(rows, [*rows[1:], None], strict=True):
        parts = {name: row[f"{name}_ms"] for name in _PARTS if _usable(row[f"{name}_ms"])}
        ts = free if row["at"] is None else (row["at"] - begin) * _US
        lasts = row["step_ms"] if _usable(row["step_ms"]) else sum(parts.values()) or None
        args = {name: row[name] for name in _SHOWN if row[name] is not None}
        args |= {
            "drafted": row["tau"],
            "accepted": row["n_a"] if row["n_a"] >= 0 else None,
            "appended": row["appended"],
        }
        event: Event = {"name": f"step {row['step']}", "cat": "step", "ts": round(ts, 3), "args": args}
        if lasts is None:
            if row["at"] is not None:
                yield {**event, "ph": "i", "s": "t"}
            continue
        end = ts + lasts * _MS
        if after is not None and after["at"] is not None:  # steps of one request do not nest, whatever a clock said
            end = min(end, max((after["at"] - begin) * _US, ts))
        yield {**event, "ph": "X", "dur": round(end - ts, 3)}
        free = end
        for name, ms in parts.items():
            stop = min(ts + ms * _MS, end)
            yield {
                "name": name,
                "cat": "part",
                "ph": "X",
                "ts": round(ts, 3),
                "dur": round(stop - ts, 3),
                "args": {"ms": ms},
            }
            ts = stop


def _usable(ms: float | None) -> bool:
    return ms is not None and 0 <= ms < 1e9
