"""Text columns changed value by value: each distinct value once."""

from collections.abc import Callable

import polars as pl


def changed(table: pl.DataFrame, change: Callable[[str], str], but: tuple[str, ...] = ()) -> pl.DataFrame:
    """`change` of every text column, `but` those named; nulls stay."""
    for name, dtype in table.schema.items():
        if dtype == pl.String and name not in but and table[name].null_count() < table.height:
            table = column_changed(table, name, change)
    return table


def column_changed(table: pl.DataFrame, name: str, change: Callable[[str], str]) -> pl.DataFrame:
    """`change` of one text column."""
    old = table[name].drop_nulls().unique()
    new = pl.Series([change(text) for text in old], dtype=pl.String)
    return table if new.equals(old) else table.with_columns(pl.col(name).replace(old, new))
