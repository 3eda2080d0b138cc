"""Sums by place within the request, over all requests: a reused sequence of uniforms moves a whole lane one way."""

import numpy as np
import polars as pl

from sdtrace.schema.arrays import Floats
from sdtrace.tally.evidence.slots import Slots
from sdtrace.verify.scope import Scope

#: Steps of a request that lanes are kept for, and ranks that are told apart.
DEPTH, _RANKS = 256, 256

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


class Lanes:
    """n, sum of accepted - chance and of its square by (step, position), piece by piece; for laws with a coin.

    Ranks have lanes of their own: engines that were started with one seed draw the same numbers for other requests, and no request
    twice. `step` is that of the request plus DEPTH + 1 for every rank. `unknown` counts slots of requests without a line: they may
    share a user seed.
    """

    def __init__(self, scope: Scope) -> None:
        self._width = int(scope.pos.count.max(initial=0))
        rank = scope.steps["rank"].fill_null(0).to_numpy().clip(0, _RANKS - 1)
        step = np.minimum(scope.steps["step"].to_numpy(), DEPTH) + rank * (DEPTH + 1)
        self._first = step * self._width  #: of each step, the lane of its first position
        self._strange = scope.steps["has_request"].is_null().to_numpy()
        self._any_strange = bool(self._strange.any())
        self._sums = np.zeros((4, (int(step.max(initial=0)) + 1) * self._width))

    def add(self, here: Slots, chance: Floats) -> None:
        """Slots and the chance of each, in the order of the trace: sums by threads would differ in their last bit from run to run."""
        row = here.row
        d = here.accepted - chance
        lane = self._first[row] + here.place
        known = np.isfinite(d)
        if not known.all():
            row, d, lane = row[known], d[known], lane[known]
        if not len(lane):
            return
        size = int(lane.max()) + 1
        self._sums[0, :size] += np.bincount(lane)
        self._sums[1, :size] += np.bincount(lane, weights=d)
        self._sums[2, :size] += np.bincount(lane, weights=d * d)
        if self._any_strange:
            self._sums[3, :size] += np.bincount(lane, weights=self._strange[row])

    def frame(self, scope: Scope) -> pl.DataFrame:
        """One row a lane that was seen."""
        seen = np.flatnonzero(self._sums[0])
        seen = seen[seen // max(self._width, 1) % (DEPTH + 1) < DEPTH]
        n, d, v, unknown = self._sums[:, seen]
        return pl.DataFrame(
            {
                "run_id": pl.Series([str(scope.steps["run_id"][0])], dtype=pl.String).new_from_index(0, len(seen)),
                "law": pl.Series([scope.law.name], dtype=pl.String).new_from_index(0, len(seen)),
                "step": seen // max(self._width, 1),
                "position": seen % max(self._width, 1),
                "n": n,
                "d": d,
                "v": v,
                "unknown": unknown.astype(np.int64),
            }
        )
