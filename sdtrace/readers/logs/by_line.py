"""The lines of a block that hold a needle where many are sought, or many lines have one: every line is made, all are searched at once.

One pass finds any of hundreds of needles; a search for each of them (`hits`) costs less where few are rare and few lines hold one.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

import polars as pl

#: Lines before a hit that are looked at too.
BEFORE = 3
#: A line longer than this is cut: a record of an engine is shorter.
LONGEST = 1 << 16


def by_line(
    text: bytes,
    needles: Sequence[bytes],
    before: Sequence[bytes] = (),
    alarms: Sequence[bytes] = (),
    telling: Sequence[bytes] = (),
) -> tuple[list[tuple[int, bytes]], int]:
    """Lines with a needle, with an index from 0, each once and in order; and how many lines there are.

    With them the nearest of the BEFORE lines in front of each that holds one of `before`, for each of those; and lines that hold
    one of `alarms` and one of `telling`.
    """
    lines = text.split(b"\n")
    if not lines[-1]:
        lines.pop()
    column = texts(lines)
    hits = _holding(column, needles)
    near = {
        place
        for hit in hits
        for needle in before
        if (place := next((i for i in range(hit - 1, hit - 1 - BEFORE, -1) if i >= 0 and needle in lines[i]), -1)) >= 0
    }
    told = [i for i in _holding(column, alarms) if any(n in lines[i][:LONGEST] for n in telling)] if alarms else []
    wanted = sorted({*hits, *near, *told}) if near or told else hits
    return [(i, lines[i][:LONGEST]) for i in wanted], len(lines)


def texts(lines: Sequence[bytes]) -> pl.Series:
    """The lines as text; bytes that are none become U+FFFD, which no needle has."""
    try:
        return pl.Series(lines, dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.PolarsError:
        return pl.Series([line.decode("utf-8", "replace") for line in lines], dtype=pl.String)


def _holding(column: pl.Series, needles: Sequence[bytes]) -> list[int]:
    return column.str.contains(_either(tuple(needles))).arg_true().to_list()


@lru_cache(maxsize=64)
def _either(needles: tuple[bytes, ...]) -> str:
    return "|".join(re.escape(needle.decode()) for needle in needles)
