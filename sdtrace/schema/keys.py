"""Keys of requests: one number for run and request."""

import polars as pl

#: A request as one number, by which tables are joined and sampled.
REQUEST_HASH = pl.struct("run_id", "request_id").hash(seed=0)


def keyed(table: pl.DataFrame) -> pl.DataFrame:
    """Steps or requests with `hash`, their REQUEST_HASH."""
    return table.with_columns(hash=REQUEST_HASH)
