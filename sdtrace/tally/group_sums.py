"""Sums under keys of a table, with first, least and greatest values beside them."""

from collections.abc import Mapping, Sequence

import polars as pl

_NONE: Mapping[str, str] = {}


def group_sums(
    table: pl.DataFrame,
    keys: Sequence[str],
    sums: Sequence[str],
    first: Mapping[str, str] = _NONE,
    least: Mapping[str, str] = _NONE,
    greatest: Mapping[str, str] = _NONE,
) -> pl.DataFrame:
    """One row a key, in the order of the first ones: keys, `rows`, then `first`, `least`, `greatest`, `sums`.

    The mappings give a column for every new name. Nulls add nothing and are neither least nor greatest; a sum of nulls
    alone is 0, the least of them null.
    """
    return table.group_by(keys, maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("rows"),
        *(pl.col(column).first().alias(name) for name, column in first.items()),
        *(pl.col(column).min().alias(name) for name, column in least.items()),
        *(pl.col(column).max().alias(name) for name, column in greatest.items()),
        *(pl.col(column).sum() for column in sums),
    )
