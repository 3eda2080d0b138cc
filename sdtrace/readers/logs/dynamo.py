"""Dynamo's planner: a mean acceptance length whose definition depends on the backend behind it."""

import re
from typing import Any

import polars as pl

from sdtrace.readers.logs.clock import iso
from sdtrace.readers.logs.dialect import Dialect, Envelope, Heard, number

_HEAD = r"Observed (?:num_req|kv_hit_rate)(?:(?!Observed |accept_length: ).)*+accept_length: "
_LINE = re.compile(_HEAD + r"(\d+\.\d+|n/a)")


def listen(path: str) -> Any:
    """A listener without memory."""

    def hear(rows: pl.DataFrame) -> Heard:
        heard = Heard()
        for line, text in rows.iter_rows():
            if m := _LINE.search(text):
                heard.used.add(line)
                length = number(m[1])
                row = {"line": line, "at": iso(text), "engine": "dynamo", "surface": "planner", "basis": "gauge"}
                heard.rows.append(row | {"length": length, "said_length": length, "said": {"accept_length": m[1]}})
        return heard

    return hear


DIALECT = Dialect(
    name="dynamo-log",
    engine="dynamo",
    says="Dynamo planner log",
    looks_for="`accept_length:` behind `Observed`",
    needles=(b"accept_length: ",),
    envelope=Envelope(
        stamp=r"[0-9]{4}-[0-9][0-9]-[0-9][0-9]T[0-9:.]+Z?\s+[A-Z]{4,5}\s+[A-Za-z0-9_.:-]+: ",
        begins="Observed ",
        speaks="accept_length: ",
        clock=r"([0-9]{4}-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9])",
    ),
    mark=re.compile(_HEAD),
    listen=listen,
)
