"""Spec-Bench's speed.py on the console: by task, tokens per step with the bonus, and a speed over the mean of requests."""

import re
from typing import Any

import polars as pl

from sdtrace.readers.logs.dialect import Dialect, Heard, number
from sdtrace.schema.counters import Row

_TASK = re.compile(r"={10} *Task: +(\w+) *={10}")
_MEAN = re.compile(r"#Mean accepted tokens: +(\d+(?:\.\d+)?)")
_SPEED = re.compile(r"Tokens per second: +(?:Mean result: )?(\d+(?:\.\d+)?)")
_BASE, _RATIO = "Tokens per second for the baseline:", "Speedup ratio:"


def listen(path: str) -> Any:
    """A listener; `overall` is the mean over all steps, and a surface of its own beside those of the tasks."""
    row: Row = {}

    def hear(rows: pl.DataFrame) -> Heard:
        nonlocal row
        heard = Heard()
        for line, text in rows.iter_rows():
            if m := _TASK.search(text):
                surface, basis = ("overall", "run") if m[1] == "overall" else ("tasks", "gauge")
                row = {"line": line, "engine": "spec-bench", "surface": surface, "basis": basis, "series": m[1]}
                row["family"] = "steps are not printed"
                heard.used.add(line)
            elif row and (m := _MEAN.search(text)):
                heard.used.add(line)
                row |= {"length": number(m[1]), "said_length": number(m[1]), "said": {"#Mean accepted tokens": m[1]}}
                heard.rows.append(row)
            elif row and (m := _SPEED.search(text)):
                heard.used.add(line)
                row["generation_tps"] = number(m[1])
            elif row and (_BASE in text or _RATIO in text):
                heard.used.add(line)
        return heard

    return hear


DIALECT = Dialect(
    name="spec-bench-console",
    engine="spec-bench",
    says="console of Spec-Bench's speed.py",
    looks_for="`Task:` between equals signs",
    needles=(b"Task: ", b"#Mean accepted tokens:", b"Tokens per second", b"Speedup ratio:"),
    mark=re.compile(r"={10} *Task: +\w+ *={10}"),
    listen=listen,
)
