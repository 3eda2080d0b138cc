"""The tables of llama.cpp's speed_bench.py and speed_bench_compare.py: a row a category, and `overall`.

`accept_rate` is accepted of drafted tokens, summed over the category; nothing is drafted where it is n/a. Steps are not printed. The
speeds are means over samples. The comparison prints the plain run beside the drafting one.
"""

import re
from typing import Any

import polars as pl

from sdtrace.readers.logs.dialect import Dialect, Heard, number
from sdtrace.schema.counters import PLAIN, Row

_CELLS = re.compile(r"\s*\|\s*|\s{2,}|\t")
_RULE = frozenset("-|: ")  #: what the line below the names is made of
_SPEED, _SPEC, _BASE, _RATE = "avg_pred_t/s", "spec_avg_pred_t/s", "base_avg_pred_t/s", "accept_rate"


def listen(path: str) -> Any:
    """A listener; the names of the columns hold until a line that is no row of theirs."""
    names: list[str] = []

    def hear(rows: pl.DataFrame) -> Heard:
        nonlocal names
        heard = Heard()
        for line, text in rows.iter_rows():
            cells = [cell.strip("*` ") for cell in _CELLS.split(text.strip().strip("|").strip())]
            if cells[0] == "category" and any(name in cells for name in (_SPEED, _SPEC)):
                names = cells
                heard.used.add(line)
            elif names and "---" in text and _RULE.issuperset(text.strip()):
                heard.used.add(line)
            elif names and len(cells) == len(names) and (made := _rows(dict(zip(names, cells, strict=True)))):
                heard.used.add(line)
                heard.rows += [row | {"line": line} for row in made]
        return heard

    return hear


def _rows(cells: dict[str, str]) -> list[Row]:
    """The drafting run of a row, and the plain one beside it."""
    rate, speed = number(cells.get(_RATE)), number(cells.get(_SPEC, cells.get(_SPEED)))
    if speed is None and rate is None:
        return []
    made = [_row(cells["category"], "", speed) | {"said_rate": rate, "rate": rate}]
    if (base := number(cells.get(_BASE))) is not None:
        made.append(_row(cells["category"], PLAIN, base))
    return made


def _row(category: str, more: str, speed: float | None) -> Row:
    surface, basis = ("overall", "run") if category.lower() == "overall" else ("categories", "gauge")
    row: Row = {"engine": "speed-bench", "surface": f"{surface}{more}", "basis": basis, "series": category[:80]}
    return row | {"generation_tps": speed, "family": "steps are not printed"}


DIALECT = Dialect(
    name="speed-bench-console",
    engine="speed-bench",
    says="tables of llama.cpp's speed_bench.py and speed_bench_compare.py",
    looks_for="columns `category` and `avg_pred_t/s`",
    needles=(b"category", b"---", b"s  ", b"s |", b"x  ", b"x |", b"overall"),
    mark=re.compile(r"(?m:^)[\s|]*category\b.{0,400}avg_pred_t/s"),
    listen=listen,
)
