"""Sums under keys of a table, quicker where the rows of a key stand together: most files are written request by request,
or in the order of time."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]
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
    number of rows, or another one of the sums.
    """
    dtypes = table.schema
    told = {name: other for name, other in known.items() if name in sums}
    table = _grouped(table, keys, [name for name in sums if name not in told], first, least, greatest)
    return table.with_columns(
        (pl.lit(0) if other is None else pl.col(other)).cast(dtypes[name]).alias(name) for name, other in told.items()
    )


def _grouped(
    table: pl.DataFrame, keys: Sequence[str], sums: Sequence[str], first: Names, least: Names, greatest: Names
) -> pl.DataFrame:
    heads = _heads(table.select(list(dict.fromkeys([*keys, *first.values()]))), keys)
    if heads is None:
        return table.group_by(keys, maintain_order=True).agg(
            pl.len().cast(pl.Int64).alias("rows"),
            *(pl.col(column).first().alias(name) for name, column in first.items()),
            *(pl.col(column).min().alias(name) for name, column in least.items()),
            *(pl.col(column).max().alias(name) for name, column in greatest.items()),
            *(pl.col(column).sum() for column in sums),
        )
    begin, firsts = heads
    return firsts.select(
        *keys,
        pl.Series("rows", np.diff(begin, append=table.height)),
        *(pl.col(column).alias(name) for name, column in first.items()),
        *(_end(table[column], begin, np.fmin).alias(name) for name, column in least.items()),
        *(_end(table[column], begin, np.fmax).alias(name) for name, column in greatest.items()),
        *(_sum(table[column], begin) for column in sums),
    )


def _heads(table: pl.DataFrame, keys: Sequence[str]) -> tuple[Ints, pl.DataFrame] | None:
    """Where every key begins, and its first row; None where a key comes back after another one."""
    if table.is_empty():
        return None
    changed = pl.any_horizontal(pl.col(key).ne_missing(pl.col(key).shift()) for key in keys)
    begins = table.select(changed.alias("changed")).to_series()
    if int(begins.sum()) > table.height // _FEWEST:
        return None
    begin = begins.arg_true().to_numpy().astype(np.int64)
    if not begins[0]:  # a null differs from nothing before it
        begin = np.append(0, begin)
    firsts = table[begin]
    return None if firsts.select(pl.struct(keys).is_duplicated().any()).item() else (begin, firsts)


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
        return column.clear(len(begin))
    worst = np.inf if column.dtype.is_float() else np.iinfo(np.int64).max
    worst = worst if extreme is np.fmin else -worst
    filled = column.fill_null(worst) if column.null_count() else column
    found = pl.Series(column.name, extreme.reduceat(filled.to_numpy(), begin))
    return found.set(found == worst, None) if column.null_count() else found
