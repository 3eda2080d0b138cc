"""AIPerf's table on the console: means over requests, and figures weighted by token. A copy of it is all that some have."""

import re
from typing import Any

import polars as pl

from sdtrace.readers.logs.dialect import Dialect, Heard, number

_ROW = re.compile(
    r"[│|]\s{0,120}(?P<name>(?:Token-Weighted )?Acceptance Length|(?:Overall )?Draft Acceptance Rate|Accepted per Verified"
    r"|Spec Decode Steps)(?: \([^()|│]{0,40}\))?\s{0,120}[│|]\s{0,120}(?P<mean>[\d,]{1,20}\.\d{1,12})\s{0,120}[│|]"
)
_SHARES = re.compile(r"Accepted drafts per step \(% of steps\):((?:\s+\d+: \d+%)+)")


def listen(path: str) -> Any:
    """A listener; the rows of a table become one window."""
    seen: dict[str, float] = {}

    def hear(rows: pl.DataFrame) -> Heard:
        heard = Heard()
        for line, text in rows.iter_rows():
            if m := _ROW.search(text):
                heard.used.add(line)
                if m["name"] in seen:  # the next table
                    seen.clear()
                value = number(m["mean"].replace(",", ""))
                if value is not None:
                    _put(line, seen, m["name"], value, heard)
            elif _SHARES.search(text) or "NVIDIA AIPerf: Spec Decode" in text:
                heard.used.add(line)
        return heard

    return hear


def _put(line: int, seen: dict[str, float], name: str, value: float, heard: Heard) -> None:
    if not seen or not heard.rows:
        heard.rows.append({"line": line, "engine": "aiperf", "surface": "console table", "basis": "run", "said": {}})
    seen[name] = value
    row = heard.rows[-1]
    row["said"] = dict(seen)
    weighted, rate = seen.get("Token-Weighted Acceptance Length"), seen.get("Overall Draft Acceptance Rate")
    mean = seen.get("Acceptance Length")
    row["family"] = "weighted by token" if weighted is not None else "mean over requests"
    row["length"] = row["said_length"] = weighted if weighted is not None else mean
    row["rate"] = row["said_rate"] = None if rate is None else rate / 100


DIALECT = Dialect(
    name="aiperf-console",
    engine="aiperf",
    says="AIPerf's console table of speculative decoding",
    looks_for="`Acceptance Length` in a table",
    needles=(
        b"NVIDIA AIPerf: Spec Decode",
        b"Acceptance Length",
        b"Draft Acceptance Rate",
        b"Accepted per Verified",
        b"Spec Decode Steps",
        b"Accepted drafts per step",
    ),
    mark=re.compile(r"NVIDIA AIPerf: Spec Decode|[│|]\s*Token-Weighted Acceptance Length\s*[│|]"),
    listen=listen,
)
