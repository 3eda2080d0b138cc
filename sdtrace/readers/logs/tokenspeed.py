"""Dynamo's tokenspeed backend: SGLang's decode line with other names, `avg_accept_len` (bonus counted) and `accept_rate`."""

import re
from typing import Any

import polars as pl

from sdtrace.readers.logs.clock import iso
from sdtrace.readers.logs.dialect import Dialect, Heard, number
from sdtrace.schema.counters import Row

_FIELD = re.compile(r"([#\w][\w ()/#-]{0,60}): (\d+(?:\.\d+)?)")
_LENGTH = re.compile(r"Decode batch(?:(?!Decode batch|avg_accept_len: ).)*+avg_accept_len: \d")


def listen(path: str) -> Any:
    """A listener without memory."""

    def hear(rows: pl.DataFrame) -> Heard:
        heard = Heard()
        for line, text in rows.iter_rows():
            if _LENGTH.search(text):
                heard.used.add(line)
                heard.rows.append(_row(text) | {"line": line, "at": iso(text[:100])})
        return heard

    return hear


def _row(text: str) -> Row:
    values = {name.strip(): number(value) for name, value in _FIELD.findall(text[text.find("Decode batch") + 12 :])}
    length, rate = values.get("avg_accept_len"), values.get("accept_rate")
    row: Row = {"engine": "tokenspeed", "surface": "Decode batch", "basis": "interval"}
    rank = values.get("#dp-rank")
    row |= {"series": "" if rank is None else f"DP{rank:.0f}", "length": length, "said_length": length}
    row |= {"rate": rate, "said_rate": rate, "running": values.get("#running-req"), "waiting": values.get("#queue-req")}
    row["generation_tps"] = values.get("gen throughput (token/s)")
    return row | {"said": {"avg_accept_len": length, "accept_rate": rate}}


DIALECT = Dialect(
    name="tokenspeed-log",
    engine="tokenspeed",
    says="logs of Dynamo's tokenspeed backend",
    looks_for="`avg_accept_len:` in a decode line",
    needles=(b"avg_accept_len:",),
    mark=_LENGTH,
    listen=listen,
)
