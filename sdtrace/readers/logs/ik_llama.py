"""ik_llama.cpp's llama-spec-bench: a Markdown table, one row a task and run; `a.len` is tokens / rounds."""

import re
from typing import Any

import polars as pl

from sdtrace.readers.logs.dialect import Dialect, Heard, number
from sdtrace.schema.counters import Row
from sdtrace.schema.trace import Loss

_HEAD = re.compile(r"\|[ \t]{0,40}rounds[ \t]{0,40}\|[ \t]{0,40}accepted[ \t]{0,40}\|")

_SHARE = re.compile(r"(?<![\d.])([\d.]++)%")
_COUNTS = re.compile(r"(\d{1,15})/(\d{1,15})")


def listen(path: str) -> Any:
    """A listener that remembers the names of the columns."""
    columns: list[str] = []

    def hear(rows: pl.DataFrame) -> Heard:
        heard = Heard()
        for line, text in rows.iter_rows():
            if (start := text.find("|")) < 0:
                continue
            cells = [cell.strip() for cell in text[start:].strip().strip("|").split("|")]
            if "task" in cells and _HEAD.search(text):
                columns[:] = cells
                heard.used.add(line)
            elif len(cells) == len(columns) and (row := _row(dict(zip(columns, cells, strict=True)))):
                heard.used.add(line)
                heard.rows.append(row | {"line": line})
            elif columns and len(cells) != len(columns) and any("%" in cell for cell in cells):
                heard.losses.append(Loss(path, line, "a row that does not fit the header", 1, "it was cut"))
        return heard

    return hear


def _row(cells: dict[str, str]) -> Row | None:
    counts = _COUNTS.fullmatch(cells.get("accepted", ""))
    rounds = number(cells.get("rounds"))
    if counts is None or rounds is None:
        return None
    row: Row = {"engine": "ik_llama.cpp", "surface": "llama-spec-bench", "basis": "run", "family": "PR 2156"}
    row |= {"series": f"{cells.get('task', '')} run {cells.get('run', '')}", "drafts": rounds}
    row |= {"accepted": int(counts[1]), "drafted": int(counts[2]), "emitted": number(cells.get("tokens"))}
    seconds, rate = number(cells.get("time(s)")), number(cells.get("rate", "").rstrip("%"))
    row |= {"busy_ms": None if seconds is None else seconds * 1000, "said_rate": None if rate is None else rate / 100}
    row |= {"said_length": number(cells.get("a.len")), "generation_tps": number(cells.get("tok/s"))}
    shares = [number(v) for v in _SHARE.findall(cells.get("pos accept", ""))]
    if shares and None not in shares:
        row["said_positions"] = [(v or 0.0) / 100 for v in shares]
        row["accepted_by_position"] = [v * rounds for v in row["said_positions"]]
    names = ("tokens", "rounds", "accepted", "rate", "a.len", "pos accept")
    return row | {"said": {n: cells[n] for n in names if n in cells}}


DIALECT = Dialect(
    name="ik-llama-bench",
    engine="ik_llama.cpp",
    says="ik_llama.cpp's llama-spec-bench table",
    looks_for="table with the columns `rounds` and `accepted`",
    needles=(b"pos accept", b"% |"),
    mark=_HEAD,
    listen=listen,
)
