"""TabbyAPI (ExLlamaV2 and V3): one Metrics line a request; `Draft` counts accepted and all drafted tokens."""

import re
from typing import Any

import polars as pl

from sdtrace.readers.logs.clock import iso
from sdtrace.readers.logs.dialect import Dialect, Heard, number
from sdtrace.schema.counters import Row

_LINE = re.compile(
    r"Metrics(?: \(ID: (?P<id>[\w-]{1,64})\))?: (?P<tokens>\d{1,15}) tokens generated in (?P<seconds>\d+(?:\.\d+)?) seconds "
    r"\((?P<rest>[^()]*)(?:\((?P<rate>\d+(?:\.\d+)?)%\))?"
)
_SPEED = re.compile(r"Generate: (\d+(?:\.\d+)?) T/s")
_DRAFT = re.compile(r"Draft: (\d{1,15}) / (\d{1,15}) tokens accepted")


def listen(path: str) -> Any:
    """A listener without memory."""

    def hear(rows: pl.DataFrame) -> Heard:
        heard = Heard()
        for line, text in rows.iter_rows():
            if m := _LINE.search(text):
                heard.used.add(line)
                heard.rows.append(_row(m) | {"line": line, "at": iso(text[:100])})
        return heard

    return hear


def _row(m: re.Match[str]) -> Row:
    """Generation time follows from its speed: the printed seconds hold queue and prompt too."""
    tokens, speed, draft = int(m["tokens"]), _SPEED.search(m["rest"]), _DRAFT.search(m["rest"])
    rate = number(speed[1]) if speed else None
    row: Row = {
        "engine": "exllama",
        "surface": "TabbyAPI metrics",
        "basis": "request",
        "request_id": m["id"],
    }
    row |= {"emitted": tokens, "generation_tps": rate, "busy_ms": tokens / rate * 1e3 if rate else None}
    if draft:
        row |= {"accepted": int(draft[1]), "drafted": int(draft[2])}
        percent = number(m["rate"])
        row |= {"said_rate": None if percent is None else percent / 100, "said": {"Draft": draft[0]}}
    return row


DIALECT = Dialect(
    name="tabbyapi-log",
    engine="exllama",
    says="TabbyAPI logs",
    looks_for="`tokens generated in` behind `Metrics`",
    needles=(b"tokens generated in",),
    mark=re.compile(r"Metrics(?: \(ID: [\w-]{1,64}\))?: \d+ tokens generated in "),
    listen=listen,
)
