"""Figures by draft length, where it changes with time or load: a share over drafts of 3 and of 7 tokens is of neither."""

from typing import Any

import polars as pl

from sdtrace.counters.sources import CounterSource, increments

#: How far from a whole number drafted / steps may be where all drafts of a window have one length; share of windows that are so.
_WHOLE, _MOST = 0.02, 0.9
#: Windows that a length must have to be a row.
LEAST = 2


def by_length(windows: pl.DataFrame, source: CounterSource) -> list[dict[str, Any]]:
    """Rows of `acceptance.by_draft_length`: k, windows, counts, tokens per step, mean load. [] where one length is in force.

    The active length of a window is drafted / steps where that is whole, else what was printed or announced for it.
    """
    mine = windows.filter((pl.col("engine") == source.engine) & (pl.col("surface") == source.surface))
    mine = mine.filter(pl.col("basis") == source.basis)
    if source.basis in ("counter", "lifetime"):
        mine = increments(mine)
    known = _active(mine)
    if known["active"].n_unique() < 2:
        return []
    counted = pl.col("drafts").filter(pl.col("accepted").is_not_null())
    rows = (
        known.group_by("active")
        .agg(
            windows=pl.len(),
            steps=counted.sum(),
            drafted=pl.col("drafted").sum(),
            accepted=pl.col("accepted").sum(),
            mean=pl.col("length").mean(),
            running=pl.col("running").mean(),
        )
        .filter(pl.col("windows") >= LEAST)
        .sort("active")
    )
    return [_row(row) for row in rows.iter_rows(named=True)] if rows.height > 1 else []


def _active(mine: pl.DataFrame) -> pl.DataFrame:
    """Windows with `active`: the draft length that was in force."""
    counted = mine.filter((pl.col("drafts") > 0) & (pl.col("drafted") > 0))
    each = pl.col("drafted") / pl.col("drafts")
    whole = counted.filter((each - each.round()).abs() <= _WHOLE)
    if counted.height and whole.height >= _MOST * counted.height:
        return whole.with_columns(active=each.round().cast(pl.Int64, strict=False)).drop_nulls("active")
    return mine.filter(pl.col("k").is_not_null() & pl.col("length").is_not_null()).with_columns(active=pl.col("k"))


def _row(row: dict[str, Any]) -> dict[str, Any]:
    steps, drafted, accepted = row["steps"], row["drafted"], row["accepted"]
    return {
        "k": row["active"],
        "windows": row["windows"],
        "steps": round(steps) if steps else None,
        "drafted": round(drafted) if drafted else None,
        "accepted": round(accepted) if drafted else None,
        "rate_of_drafted": accepted / drafted if drafted else None,
        "tokens_per_step": 1 + accepted / steps if steps else row["mean"],
        "running": row["running"],
    }
