"""Whether num_accepted of a record means what the format says: a recording fault is looked for before a wrong engine."""

from typing import Any

import polars as pl

#: Columns of the sample that are looked at.
NEEDED = (
    *("hash", "step", "path", "line", "run_id", "request_id", "tau", "verified", "num_accepted", "appended", "is_last"),
    *("draft_token_ids", "output_token_ids"),
)
#: Steps that must show it, and the share of them that does.
ENOUGH, NEARLY_ALL = 20, 0.95


def over_counted(sample: pl.DataFrame) -> tuple[int, dict[str, Any]] | None:
    """(1 or -1, evidence) where num_accepted is that much too high against what steps appended; None where it is not.

    An accepted block and one token is what a step appends. Where num_accepted counts that token as well, the last appended
    token stands in the place of a drafted one that it is not; an engine that appends too little keeps drafted tokens there.
    """
    steps = sample.filter(
        (pl.col("tau") > 0)
        & pl.col("num_accepted").is_not_null()
        & (pl.col("appended") > 0)
        & ~pl.col("is_last")
        & (pl.col("appended") <= pl.col("verified"))  # a full block may be clipped
    )
    if steps.height < ENOUGH:
        return None
    for less in (1, -1):
        off = steps.filter(pl.col("num_accepted") - less == pl.col("appended") - 1)
        if off.height < NEARLY_ALL * steps.height:
            continue
        kept = off.with_columns(n=pl.col("appended") - 1).select(
            block=pl.col("draft_token_ids").list.head("n") == pl.col("output_token_ids").list.head("n"),
            last=pl.col("draft_token_ids").list.get("n", null_on_oob=True) != pl.col("output_token_ids").list.last(),
        )
        if kept["block"].sum() > NEARLY_ALL * kept.height and 2 * kept["last"].sum() > kept.height:
            row = off.row(0, named=True)
            shown = {name: row[name] for name in ("path", "line", "run_id", "request_id", "step", "num_accepted")}
            return less, shown | {"appended": row["appended"], "steps": off.height, "of": steps.height}
    return None
