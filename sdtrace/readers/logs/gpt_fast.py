"""gpt-fast: `Acceptance probs` are shares of the rounds by number of accepted tokens; `Mean Accepted` leaves out the bonus."""

import re
from typing import Any

import polars as pl

from sdtrace.readers.logs.dialect import Dialect, Heard, number
from sdtrace.schema.counters import Row

_PROBS, _MEAN = re.compile(r"Acceptance probs: \[([\d., e-]+)\]"), re.compile(r"Mean Accepted: (\d+(?:\.\d+)?)")
_SPEED = re.compile(r"Average tokens/sec: (\d+(?:\.\d+)?)")


def listen(path: str) -> Any:
    """A listener; the three lines of a run make one window."""
    row: Row = {}

    def hear(rows: pl.DataFrame) -> Heard:
        nonlocal row
        heard = Heard()
        for line, text in rows.iter_rows():
            probs, mean, speed = _PROBS.search(text), _MEAN.search(text), _SPEED.search(text)
            if not (probs or mean or speed):
                continue
            heard.used.add(line)
            if probs or not any(row is other for other in heard.rows):
                row = {"line": line, "engine": "gpt-fast", "surface": "console", "basis": "run", "said": {}}
                heard.rows.append(row)
            if probs:
                row |= _shares([v for part in probs[1].split(",") if (v := number(part)) is not None])
            elif mean and (value := number(mean[1])) is not None:
                row |= {"length": 1 + value, "said_length": value}
                row["said"]["Mean Accepted"] = value
            elif speed:
                row["generation_tps"] = number(speed[1])
        return heard

    return hear


def _shares(probs: list[float]) -> Row:
    """Tokens per round and the share of rounds that accept position j or more, from shares by number accepted."""
    if len(probs) < 2 or abs(sum(probs) - 1) > 0.01:
        return {}
    positions = [sum(probs[j + 1 :]) for j in range(len(probs) - 1)]
    length = 1 + sum(positions)
    return {"length": length, "k": len(positions), "said_positions": positions, "rate": sum(positions) / len(positions)}


DIALECT = Dialect(
    name="gpt-fast",
    engine="gpt-fast",
    says="gpt-fast's console",
    looks_for="`Acceptance probs:` or `Average tokens/sec:`",
    needles=(b"Acceptance probs: [", b"Mean Accepted: ", b"Average tokens/sec: "),
    mark=re.compile(r"Acceptance probs: \[|Average tokens/sec: \d"),
    listen=listen,
)
