"""Which row bonus tokens are drawn from, where they do not follow their own: likeliest tokens of the rows beside it tell.

Other sampling parameters leave the order of tokens as it is (penalties move few), so that a bonus token is the likeliest of its own
row more often than that of any other row. Drawn from another row it is the likeliest of that one.
"""

from typing import Literal

import polars as pl

from sdtrace.stats.binomial import at_least

Row = Literal["before", "next"]
#: Where bonus tokens come from that do not come from their own row.
ROWS: dict[Row, str] = {
    "before": "the row before their own",
    "next": "the row behind their own, the first of the next request",
}
#: Chance, under tokens that are the likeliest of either row equally often, below which another row is named.
_CLEAR = 1e-4


def bonus_row(sample: pl.DataFrame | None) -> Row | None:
    """The row that bonus tokens of these steps (of one run) are drawn from, if it is clearly not their own.

    `before`: the last tested row of the step. `next`: the first row of the request in the next slot of the same engine step.
    """
    needed = {"target_argmax_ids", "draft_token_ids", "output_token_ids", "last_kind"}
    if sample is None or sample.is_empty() or not needed <= set(sample.columns):
        return None
    best, k = pl.col("target_argmax_ids"), pl.col("draft_token_ids").list.len()
    steps = sample.filter((pl.col("last_kind") == "bonus") & (k > 0) & (best.list.len() == k + 1)).with_columns(
        y=pl.col("output_token_ids").list.last(), own=best.list.last()
    )
    if _preferred(steps.with_columns(other=best.list.get(-2))):
        return "before"
    placed = {"engine_step", "slot"} <= set(sample.columns)
    if placed and _preferred(steps.join(_first_rows(sample), on=["rank", "engine_step", "slot"], nulls_equal=True)):
        return "next"
    return None


def _first_rows(sample: pl.DataFrame) -> pl.DataFrame:
    """The likeliest token of the first row of every step, under the slot before it."""
    known = sample.filter(pl.col("engine_step").is_not_null() & (pl.col("target_argmax_ids").list.len() > 0))
    return known.select(
        "rank", "engine_step", pl.col("slot") - 1, other=pl.col("target_argmax_ids").list.first()
    ).unique(["rank", "engine_step", "slot"])


def _preferred(steps: pl.DataFrame) -> bool:
    """Whether y is `other` more often than `own` where they differ, by more than luck (a sign test)."""
    told = steps.filter(pl.col("other") != pl.col("own"))
    theirs, mine = (told.filter(pl.col("y") == pl.col(name)).height for name in ("other", "own"))
    return theirs > mine and at_least(theirs, theirs + mine) < _CLEAR
