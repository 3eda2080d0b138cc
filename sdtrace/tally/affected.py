"""Which requests hold a fault: per check and request the faulty steps, their tokens, and when the first and the last were."""

import polars as pl

from sdtrace.results.check import Check


def affected(rows: pl.DataFrame, frame: pl.DataFrame, check: Check, law: str) -> pl.DataFrame:
    """One row a request of one scope. `rows`: one row a step; `frame`: what the check looks at, steps or positions (`row`)."""
    faulty = (check.judged & check.fault).fill_null(value=False)
    steps = rows[frame.filter(faulty)["row"].unique().sort()] if check.table == "positions" else rows.filter(faulty)
    return steps.group_by("hash", maintain_order=True).agg(
        pl.col("run_id").first(),
        pl.lit(law).alias("law"),
        pl.lit(check.code).alias("code"),
        pl.len().cast(pl.Int64).alias("steps"),
        pl.col("appended").fill_null(0).sum().cast(pl.Int64).alias("appended"),
        pl.col("at").min().alias("first_at"),
        pl.col("at").max().alias("last_at"),
    )
