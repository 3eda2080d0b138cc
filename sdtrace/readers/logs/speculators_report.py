"""The report that speculators makes of a vLLM log: shares by position, weighted by drafted tokens, and no accepted count."""

import re
from typing import Any

import polars as pl

from sdtrace.readers.logs.dialect import Dialect, Heard, number
from sdtrace.schema.counters import Row

_TITLE, _DRAFTED = "Speculative Decoding Acceptance Analysis", re.compile(r"Total drafted tokens: (\d+)\s*$")
_WEIGHTED, _SHARES = re.compile(r"Weighted per-position acceptance rates:"), re.compile(r"\[([\d. ]+)(\]?)$")
_MORE = re.compile(r"^\s+(\d[\d. ]*)(\]?)$")


def listen(path: str) -> Any:
    """A listener; numpy breaks a long list over lines, so one is open until its bracket closes."""
    drafted: float | None = None
    shares: list[float] | None = None

    def hear(rows: pl.DataFrame) -> Heard:
        nonlocal drafted, shares
        heard = Heard()
        for line, text in rows.iter_rows():
            if _TITLE in text:
                drafted, shares = None, None
            elif m := _DRAFTED.search(text):
                drafted = number(m[1])
            elif _WEIGHTED.search(text):
                shares = []
            elif "Conditional acceptance rates:" in text:  # follow from the shares
                shares = None
            elif shares is not None and (m := (_MORE if shares else _SHARES).search(text)):
                shares += [n for part in m[1].split() if (n := number(part)) is not None]
                if m[2]:
                    heard.rows.append({"line": line, **_row(shares, drafted)})
                    shares = None
            else:
                continue
            heard.used.add(line)
        return heard

    return hear


def _row(shares: list[float], drafted: float | None) -> Row:
    k = len(shares)
    drafts = drafted / k if drafted and k else None
    row: Row = {"engine": "vllm", "surface": "speculators report", "basis": "run", "k": k or None}
    row |= {"family": "shares weighted by drafted tokens", "drafts": drafts, "drafted": drafted}
    row |= {"said_positions": shares, "length": 1 + sum(shares), "rate": sum(shares) / k if k else None}
    return row | {"accepted_by_position": [p * drafts for p in shares] if drafts else None}


DIALECT = Dialect(
    name="speculators-report",
    engine="vllm",
    says="acceptance analysis of speculators",
    looks_for="`Speculative Decoding Acceptance Analysis`",
    needles=(_TITLE.encode(), b"Total drafted tokens:", b"per-position acceptance rates:", b" 0.", b"[0.", b"[1."),
    mark=re.compile(f"{_TITLE}|Weighted per-position acceptance rates:"),
    listen=listen,
)
