"""TensorRT-LLM: the iteration log and the speculation gate. `num_generation_tokens` are verified tokens, not emitted ones."""

import re
from typing import Any

import polars as pl

from sdtrace.readers.logs.clock import iso
from sdtrace.readers.logs.dialect import Dialect, Envelope, Heard, number
from sdtrace.schema.counters import Row
from sdtrace.schema.trace import Event

#: What a line of an iteration holds, in this order; each is looked for behind the one before.
_FIELDS = tuple(
    re.compile(pattern)
    for pattern in (
        r"\biter = (\d+), ",
        r"currank_total_requests = (\d+)/\d+, ",
        r"host_step_time = ([\d.]+)ms",
        r"'num_generation_tokens': (\d+)",
    )
)
_SCHEDULED = re.compile(r"num_scheduled_requests(?:: | = )(\d+)")
_GATE = re.compile(r"\[SpeculationGate\] Request (\S+) completed: avg_decoded=([\d.]+)")
_OFF = re.compile(r"\[SpeculationGate\] Speculative decoding disabled")


def listen(path: str) -> Any:
    """A listener without memory."""

    def hear(rows: pl.DataFrame) -> Heard:
        heard = Heard()
        for line, text in rows.iter_rows():
            row: Row = {"line": line, "at": iso(text), "engine": "tensorrt-llm"}
            if values := _iteration(text):
                scheduled = _SCHEDULED.search(text)
                row |= {"surface": "iter", "basis": "iteration", "busy_ms": number(values[2])}
                row |= {"running": number(scheduled[1]) if scheduled else None, "series": ""}
                heard.rows.append(row | {"said": {"iter": values[0], "num_generation_tokens (verified)": values[3]}})
            elif m := _GATE.search(text):
                length = number(m[2])
                row |= {"surface": "SpeculationGate", "basis": "request", "request_id": m[1], "length": length}
                heard.rows.append(row | {"said_length": length, "said": {"avg_decoded": m[2]}})
            elif _OFF.search(text):
                what = "the speculation gate switched speculation off for good"
                heard.events.append(Event(path, line, row["at"], "tensorrt-llm", "off", what))
            elif "SpeculationGate]" not in text:
                continue
            heard.used.add(line)
        return heard

    return hear


def _iteration(text: str) -> list[str] | None:
    """The figures of an iteration's line; None where it is none, or lacks one of them."""
    values: list[str] = []
    behind = 0
    for pattern in _FIELDS:
        if (found := pattern.search(text, behind)) is None:
            return None
        values.append(found[1])
        behind = found.end()
    return values


DIALECT = Dialect(
    name="tensorrt-llm-log",
    engine="tensorrt-llm",
    says="TensorRT-LLM iteration log and speculation gate",
    looks_for="`[TRT-LLM]` or `[SpeculationGate]`",
    needles=(b"host_step_time", b"SpeculationGate"),
    envelope=Envelope(
        stamp=r"(?:\[[0-9][0-9]/[0-9][0-9]/[0-9]{4}-[0-9][0-9]:[0-9][0-9]:[0-9][0-9]\] )?\[TRT-LLM\] (?:\[[A-Za-z0-9_ ]{1,40}\] ?)*",
        begins=r"(?:iter = |\[SpeculationGate\])",
        speaks=r"iter = [0-9]+|SpeculationGate\]",
        who=r"(RANK [0-9]+)",
        clock=r"\[([0-9][0-9]/[0-9][0-9]/[0-9]{4}-[0-9][0-9]:[0-9][0-9]:[0-9][0-9])\]",
    ),
    mark=re.compile(r"\[TRT-LLM\] |\[SpeculationGate\]"),
    listen=listen,
)
