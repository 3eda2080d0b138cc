"""Negative ids behind the tokens of a step: what a batch of unequal rows is filled up with."""

import polars as pl


def without_padding(steps: pl.DataFrame) -> pl.DataFrame:
    """Steps whose drafts and outputs end before their first negative id: engines pad rows of a batch with -1.

    A padding is no drafted token: it counts as neither drafted nor verified, and its rejection is none. Ids that are negative
    in front of others end a draft as well, for kernels reject there whatever p says.
    """
    lists = [name for name in ("draft_token_ids", "output_token_ids") if steps[name].dtype == pl.List(pl.Int64)]
    least = steps.select(pl.col(name).explode().min() for name in lists).row(0)  # of all ids at once, not list by list
    padded = [name for name, low in zip(lists, least, strict=True) if low is not None and low < 0]
    if not padded:
        return steps
    ends = {
        name: pl.when(pl.col(name).list.min() < 0)
        .then(pl.col(name).list.head(pl.col(name).list.eval((pl.element() < 0).arg_true()).list.first()))
        .otherwise(name)
        for name in padded
    }
    shorter = steps.with_columns(**ends)
    if "draft_token_ids" not in padded:
        return shorter
    tau = pl.col("draft_token_ids").list.len().cast(pl.Int64)
    whole = (tau < steps["draft_token_ids"].list.len()) & (pl.col("num_accepted") >= tau)
    return shorter.with_columns(
        verified_len=pl.min_horizontal("verified_len", tau),
        last_kind=pl.when(~(whole & (pl.col("last_kind") == "recovered")).fill_null(value=False)).then("last_kind"),
    )
