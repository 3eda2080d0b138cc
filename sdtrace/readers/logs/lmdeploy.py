"""LMDeploy: vLLM's old words with two decimals in the rate; k a step is counted as drafted even where fewer were."""

import re
from typing import Any

import polars as pl

from sdtrace.readers.logs.clock import iso
from sdtrace.readers.logs.dialect import Dialect, Envelope, Heard, number
from sdtrace.schema.counters import Row

_LINE = re.compile(
    r"SpecDecoding metrics: Draft acceptance rate: (?P<rate>\d+\.\d\d)%, Mean acceptance length: (?P<len>\d+\.\d\d), "
    r"Accepted: (?P<acc>\d{1,15}) tokens, Drafted: (?P<dr>\d{1,15}) tokens"
    r"(?:, Per-position acceptance rate: (?P<pos>\d\.\d{3}(?:, \d\.\d{3})*)(?![,.\d]))?"
)


def listen(path: str) -> Any:
    """A listener without memory: every line counts the time since the one before."""

    def hear(rows: pl.DataFrame) -> Heard:
        heard = Heard()
        for line, text in rows.iter_rows():
            for m in _LINE.finditer(text):
                heard.used.add(line)
                heard.rows.append(_row(m) | {"line": line, "at": iso(text)})
        return heard

    return hear


def _row(m: re.Match[str]) -> Row:
    positions = [float(v) for v in m["pos"].split(", ")] if m["pos"] else None
    accepted, drafted, length = int(m["acc"]), int(m["dr"]), number(m["len"])
    drafts = drafted / len(positions) if positions else None
    if drafts and length is not None and abs(1 + accepted / drafts - length) > 0.0051:
        drafts = None  # counts and length are not of the same steps
    return {
        "engine": "lmdeploy",
        "surface": "SpecDecoding metrics",
        "family": "LMDeploy",
        "basis": "interval",
        "k": len(positions) if positions else None,
        "drafts": drafts,
        "drafted": drafted,
        "accepted": accepted,
        "length": length,
        "said_length": length,
        "said_rate": (number(m["rate"]) or 0.0) / 100,
        "said_positions": positions,
        "accepted_by_position": [v * drafts for v in positions] if positions and drafts else None,
        "said": {"Draft acceptance rate %": m["rate"], "Mean acceptance length": m["len"]},
    }


DIALECT = Dialect(
    name="lmdeploy-log",
    engine="lmdeploy",
    says="LMDeploy logs",
    looks_for="`SpecDecoding metrics: Draft acceptance rate:` with two decimals",
    needles=(b"SpecDecoding metrics: Draft",),
    envelope=Envelope(
        stamp=r"[0-9]{4}-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9],[0-9]+ - lmdeploy - [A-Z]+ - [A-Za-z0-9_.]+:[0-9]+ - ",
        begins="SpecDecoding metrics: ",
        speaks="SpecDecoding metrics: ",
        where=r"([A-Za-z0-9_.]+:[0-9]+) - ",
        clock=r"([0-9]{4}-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9]),",
        fixed=True,
    ),
    mark=re.compile(r"SpecDecoding metrics: Draft acceptance rate: \d+\.\d\d%|lmdeploy - "),
    listen=listen,
)
