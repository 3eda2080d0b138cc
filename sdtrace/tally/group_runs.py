"""Sums under keys of a table, quicker where the rows of a key stand together: most files are written request by request,
or in the order of time."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.schema.arrays import Ints

Names = Mapping[str, str]
Known = Mapping[str, str | None]

_NONE: Names = {}
_KNOWN: Known = {}
#: Rows that a key has on the average, at least, where looking for its runs pays.
_FEWEST = 4


def grouped(
    table: pl.DataFrame,
    keys: Sequence[str],
    sums: Sequence[str],
    first: Names = _NONE,
    least: Names = _NONE,
    greatest: Names = _NONE,
    known: Known = _KNOWN,
) -> pl.DataFrame:
    """One row a key, in the order of the first ones: keys, `rows`, then `first`, `least`, `greatest`, `sums`.

    The mappings give a column for every new name. Nulls add nothing and are neither least nor greatest; a sum of nulls
    alone is 0, the least of them null, as polars has it. `known` names sums that need no adding up: they are 0 (None), the
    number of rows, or another one of the sums; the table need not have such a column.
    """
    told = {name: other for name, other in known.items() if name in sums}
    added = [name for name in sums if name not in told]
    heads = _heads(table, keys, first)
    if heads is None:
        found = table.group_by(keys, maintain_order=True).agg(
            pl.len().cast(pl.Int64).alias("rows"),
            *(pl.col(column).first().alias(name) for name, column in first.items()),
            *(pl.col(column).min().alias(name) for name, column in least.items()),
            *(pl.col(column).max().alias(name) for name, column in greatest.items()),
            *(pl.col(column).sum() for column in added),
        )
    else:
        begin, firsts = heads
        columns = [  # one by one: an expression for each would cost more than most of the sums
            *(firsts[key] for key in keys),
            pl.Series("rows", np.diff(begin, append=table.height)),
            *(firsts[column].alias(name) for name, column in first.items()),
            *(_end(table[column], begin, np.fmin).alias(name) for name, column in least.items()),
            *(_end(table[column], begin, np.fmax).alias(name) for name, column in greatest.items()),
            *(_sum(table[column], begin) for column in added),
        ]
        found = pl.DataFrame(columns)
    if not told:
        return found
    schema = table.schema
    zero = pl.Series([0]).new_from_index(0, found.height)
    return found.hstack(
        [
            (zero if other is None else found[other]).cast(schema.get(name, pl.Int64)).alias(name)
            for name, other in told.items()
        ]
    )


def _heads(table: pl.DataFrame, keys: Sequence[str], first: Names) -> tuple[Ints, pl.DataFrame] | None:
    """Where every key begins, and what stands there; None where one comes back after another."""
    if table.is_empty():
        return None
    changed = _changed(table[keys[0]])
    for key in keys[1:]:
        changed |= _changed(table[key])
    begin = np.append(0, np.flatnonzero(changed) + 1)
    if len(begin) > table.height // _FEWEST:
        return None
    firsts = table.select(list(dict.fromkeys([*keys, *first.values()])))[begin]
    again = firsts[keys[0]] if len(keys) == 1 else firsts.select(pl.struct(keys)).to_series()
    return None if again.n_unique() < len(begin) else (begin, firsts)


def _changed(column: pl.Series) -> npt.NDArray[np.bool_]:
    """Which rows but the first hold something else than the row before."""
    if column.dtype.is_numeric() and not column.null_count():
        values = column.to_numpy()
        return np.asarray(values[1:] != values[:-1])
    return (column[1:].ne_missing(column[:-1])).to_numpy()


def _sum(column: pl.Series, begin: Ints) -> pl.Series:
    if column.null_count():
        column = column.fill_null(0)
    values = column.to_numpy()
    none = values.dtype != np.bool_ and values.max() == 0 == values.min()
    total = np.zeros(len(begin), values.dtype) if none else np.add.reduceat(values, begin, dtype=_wide(values))
    return pl.Series(column.name, total)


def _wide(values: npt.NDArray[Any]) -> type[np.number[Any]]:
    return np.float64 if values.dtype.kind == "f" else np.int64


def _end(column: pl.Series, begin: Ints, extreme: Any) -> pl.Series:
    """The least (np.fmin) or greatest (np.fmax) value of every key."""
    if column.null_count() == len(column):
        return column.new_from_index(0, len(begin))
    worst = np.inf if column.dtype.is_float() else np.iinfo(np.int64).max
    worst = worst if extreme is np.fmin else -worst
    filled = column.fill_null(worst) if column.null_count() else column
    found = pl.Series(column.name, extreme.reduceat(filled.to_numpy(), begin))
    return found.set(found == worst, None) if column.null_count() else found
