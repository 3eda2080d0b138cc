"""Counts over a stretch of time or work, as engines print them: one row a line, record, sample or request.

Steps say what each verification did; windows only say how many. Every value is converted to our definitions; what the
engine itself called it and printed stays beside it in `said`. A value that was not printed and does not follow from
what was is null.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import orjson
import polars as pl

from sdtrace.schema.trace import FLOAT, FLOATS, INT, STR, Column

#: One window as a reader makes it: values of columns of WINDOW by name, those that the engine printed.
Row = dict[str, Any]

#: What a window covers. `interval`: since the line before; `request`, `round`, `iteration`: one of them; `run`: a whole
#: benchmark; `lifetime`: since the process began; `counter`: a sample of counters; `gauge`: a last value, no counts.
BASES = ("round", "request", "interval", "iteration", "run", "lifetime", "counter", "gauge")

WINDOW: dict[str, Column] = {
    "line": Column(INT, "", "where the record stood"),
    "at": Column(FLOAT, "s", "Unix time, or the log's own clock"),
    "span_s": Column(FLOAT, "s", "what the window covers, where it is known"),
    "engine": Column(STR, "", ""),
    "family": Column(STR, "", "releases that print it so: they decide what the words mean"),
    "surface": Column(STR, "", "which line or record of the engine"),
    "basis": Column(STR, "", "one of BASES"),
    "series": Column(STR, "", "process, rank, implementation or labels: windows of one series follow each other"),
    "request_id": Column(STR, "", ""),
    "k": Column(INT, "tokens", "drafted tokens a step, as configured or as listed"),
    "drafts": Column(FLOAT, "steps", "request-steps in which something was drafted"),
    "steps": Column(FLOAT, "steps", "request-steps, those without a draft too"),
    "drafted": Column(FLOAT, "tokens", ""),
    "accepted": Column(FLOAT, "tokens", "before the first rejection; no bonus"),
    "emitted": Column(FLOAT, "tokens", "recovered and bonus tokens counted"),
    "accepted_by_position": Column(FLOATS, "steps", "steps that accepted more than j tokens"),
    "drafted_by_position": Column(FLOATS, "steps", "steps that drafted more than j tokens"),
    "histogram": Column(FLOATS, "steps", "steps by number of accepted tokens, from 0"),
    "length": Column(FLOAT, "tokens", "tokens per step that drafted, bonus counted: 1 + accepted / drafts"),
    "rate": Column(FLOAT, "", "accepted / drafted"),
    "said_length": Column(FLOAT, "", "mean length as printed"),
    "said_rate": Column(FLOAT, "", "acceptance rate as printed, as a fraction"),
    "said_positions": Column(FLOATS, "", "rate by position as printed"),
    "k_by_rule": Column(
        FLOATS, "tokens", "k under the rules that the printed rate fits, the newer first; null = one is known"
    ),
    "generation_tps": Column(FLOAT, "tokens/s", "as printed"),
    "running": Column(FLOAT, "requests", ""),
    "waiting": Column(FLOAT, "requests", ""),
    "kv_usage": Column(FLOAT, "", "share of the cache"),
    "draft_ms": Column(FLOAT, "ms", "in this window"),
    "busy_ms": Column(FLOAT, "ms", "generation time of this window"),
    "verify_ms": Column(FLOAT, "ms", "in this window"),
    "sample_ms": Column(FLOAT, "ms", "in this window"),
    "said": Column(STR, "", "the engine's own words and values, a JSON object"),
    "merged": Column(INT, "windows", "how many were added up or thinned into this one; null = none"),
}


#: `family` of requests whose drafter leaves no trace.
SILENT = "a drafter was given, and this console does not print what it accepted"
#: Behind the surface of plain runs that stand beside runs with drafts.
PLAIN = " without drafts"
#: Columns by what they hold; comparing types of polars for every value took a fifth of the time of a log of llama.cpp.
_TEXTS = frozenset(name for name, column in WINDOW.items() if column.dtype == STR)
_LISTS = frozenset(name for name, column in WINDOW.items() if column.dtype == FLOATS)
#: No counter gets there.
_MOST = 2.0**63


@cache
def no_windows() -> pl.DataFrame:
    """The table without rows."""
    return pl.DataFrame(schema={name: column.dtype for name, column in WINDOW.items()} | {"path": pl.String()})


def conformed(frame: pl.DataFrame) -> pl.DataFrame:
    """A kept table with the columns that were added since."""
    columns = no_windows().schema
    return frame.select(
        (pl.col(name) if name in frame.columns else pl.lit(None, dtype)).alias(name) for name, dtype in columns.items()
    )


def windows(path: str, frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with every column of WINDOW (absent ones null) and `path`."""
    held = set(frame.columns)
    columns = [_bounded(name) if name in held else _absent(name) for name in WINDOW]
    return frame.select(*columns, path=pl.lit(path)).with_columns(_derived())


@cache
def _absent(name: str) -> pl.Expr:
    return pl.lit(None, dtype=WINDOW[name].dtype).alias(name)


@cache
def _bounded(name: str) -> pl.Expr:
    """A column without numbers at and beyond _MOST, which are damage: sums of them would overflow."""
    dtype = WINDOW[name].dtype
    column = pl.col(name).cast(dtype, strict=False)
    if dtype == FLOAT:
        return pl.when(column.abs() < _MOST).then(column)
    if dtype == FLOATS:
        least, most = column.list.min(), column.list.max()
        return pl.when((column.list.len() == 0) | ((least > -_MOST) & (most < _MOST))).then(column)
    return column


@cache
def _derived() -> tuple[pl.Expr, pl.Expr]:
    """Length and rate of the counts where none are printed."""
    length = pl.when(pl.col("drafts") > 0).then(1 + pl.col("accepted") / pl.col("drafts"))
    rate = pl.when(pl.col("drafted") > 0).then(pl.col("accepted") / pl.col("drafted"))
    return pl.coalesce("length", length).alias("length"), pl.coalesce("rate", rate).alias("rate")


def from_rows(path: str, rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Windows from dicts; `said` may be a dict. Numbers that are NaN or infinite are dropped: the checks see `said`."""
    kept = [{k: _plain(k, v) for k, v in row.items()} for row in rows]
    if not kept:
        return no_windows()
    names = [name for name in WINDOW if any(name in row for row in kept)]
    frame = pl.DataFrame(
        {n: pl.Series(n, [row.get(n) for row in kept], dtype=WINDOW[n].dtype, strict=False) for n in names}
    )
    return windows(path, frame)


def _plain(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _TEXTS:
        if name == "said" and not isinstance(value, str):
            return _said(value)
        return str(value).encode("utf-8", "replace").decode()
    if name in _LISTS:
        # a list with a hole in it is no list by position: sums and means of it would be of other positions than they say
        listed = [_number(v) for v in value] if isinstance(value, list) else [None]
        return None if None in listed else listed
    return _number(value)


def _number(value: Any) -> float | None:
    """A finite number within 64 bits; None for anything else, which is no count."""
    return value if isinstance(value, int | float) and -_MOST < value < _MOST else None


def _said(value: Any) -> str:
    """An object as JSON text, without what no JSON holds: integers beyond 64 bits, nesting beyond reason."""
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        plain = {str(k): v for k, v in value.items() if isinstance(v, str | float | bool) or _number(v) is not None}
        return orjson.dumps({k: v for k, v in plain.items() if _printable(k) and _printable(v)}).decode()


def _printable(value: Any) -> bool:
    """A lone surrogate is not: no UTF-8 holds it."""
    return not isinstance(value, str) or value.isprintable()
