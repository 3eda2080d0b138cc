"""Sums by place within the request, over all requests: a reused sequence of uniforms moves a whole lane one way."""

import numpy as np
import polars as pl

from sdtrace.evidence.slots import Slots
from sdtrace.scope import Scope

#: Steps of a request that lanes are kept for.
DEPTH = 256

LANES = pl.DataFrame(
    schema={
        "run_id": pl.String,
        "law": pl.String,
        "step": pl.Int64,
        "position": pl.Int64,
        "n": pl.Float64,
        "d": pl.Float64,
        "v": pl.Float64,
        "unknown": pl.Int64,
    }
)


def lanes(scope: Scope, here: Slots) -> pl.DataFrame:
    """n, sum of accepted - chance and of its square by (step, position); laws with a coin only.

    `unknown` counts slots of requests without a line: they may share a user seed.
    """
    if scope.raw or not scope.law.draws or scope.law.name == "block" or not len(here.at):
        return LANES
    pos = scope.pos
    chance = scope.judged.expected[here.at]
    d = here.accepted - chance
    row = pos.row[here.at]
    step = scope.steps["step"].to_numpy()[row]
    known = (step < DEPTH) & np.isfinite(d)
    width = int(pos.position.max()) + 1
    lane = step[known] * width + pos.position[here.at][known]
    unknown = scope.steps["has_request"].is_null().to_numpy()[row][known]
    # summed in the order of the trace: sums by threads would differ in their last bit from run to run
    n, total, squares, strange = (
        np.bincount(lane, weights=x) for x in (None, d[known], d[known] ** 2, unknown.astype(np.float64))
    )
    seen = np.flatnonzero(n)
    return pl.DataFrame(
        {
            "run_id": pl.Series([str(scope.steps["run_id"][0])] * len(seen), dtype=pl.String),
            "law": pl.Series([scope.law.name] * len(seen), dtype=pl.String),
            "step": (seen // width).astype(np.int64),
            "position": (seen % width).astype(np.int64),
            "n": n[seen].astype(np.float64),
            "d": total[seen],
            "v": squares[seen],
            "unknown": strange[seen].astype(np.int64),
        }
    ).select(LANES.columns)
