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
    frame = pl.DataFrame(
        {
            "step": scope.steps["step"].to_numpy()[pos.row[here.at]],
            "position": pos.position[here.at],
            "d": here.accepted - chance,
            "v": (here.accepted - chance) ** 2,
            "unknown": scope.steps["has_request"].is_null().to_numpy()[pos.row[here.at]].astype(np.int64),
        }
    )
    known = frame.lazy().filter((pl.col("step") < DEPTH) & pl.col("d").is_finite())
    sums = known.group_by("step", "position", maintain_order=True).agg(
        pl.len().cast(pl.Float64).alias("n"), pl.col("d", "v", "unknown").sum()
    )
    names = {"run_id": pl.lit(str(scope.steps["run_id"][0])), "law": pl.lit(scope.law.name)}
    return sums.collect().sort("step", "position").with_columns(**names).select(LANES.columns)
