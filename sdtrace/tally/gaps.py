"""Time between the steps of a request in which it stands still, and whether the engine worked meanwhile."""

import numpy as np
import polars as pl

#: A gap is long where it takes this many times the step before it.
LONG = 10.0
#: Share of a gap in which the engine works on others.
BUSY = 0.5


def gap(longest: float) -> pl.Expr:
    """ms between the end of this step and the start of the request's next one; null where that one is not beside it, and
    where more than `longest` ms are between them."""
    after = pl.col("at").shift(-1).over("hash") - pl.col("at")
    beside = pl.col("step").shift(-1).over("hash") == pl.col("step") + 1
    return pl.when(beside & after.is_between(0, longest / 1000)).then((1000 * after - pl.col("t")).clip(0))


def waits(lines: pl.DataFrame) -> pl.Series:
    """Lines behind which their request stands still for long while the engine works on others for most of that time.

    Where it does not it stands still itself, or has nothing to do: neither is a lack of room. Needs `at`, `t`, `gap`, `run_id`
    and `rank`; n entries.
    """
    long = (lines["gap"] > LONG * lines["t"]).fill_null(value=False)
    if not long.any():
        return long
    found = np.zeros(lines.height, dtype=bool)
    table = lines.select("run_id", "rank", "at", "t", "gap", long=long, row=pl.int_range(pl.len()))
    for part in table.partition_by("run_id", "rank"):
        steps = (
            part.drop_nulls(["at", "t"]).group_by("at").agg(pl.col("t").max()).sort("at")
        )  # lines share engine steps
        worked = np.concatenate(([0.0], steps["t"].cum_sum().to_numpy()))  # ms, before each step
        mine = part.filter("long")
        at, t, gaps = (mine[name].to_numpy() for name in ("at", "t", "gap"))
        begin, end = (np.searchsorted(steps["at"].to_numpy(), at + ms / 1000 - 1e-6) for ms in (t, t + gaps))
        found[mine["row"].to_numpy()[worked[end] - worked[begin] > BUSY * gaps]] = True
    return pl.Series(found)
