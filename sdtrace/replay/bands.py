"""The band: how far log p moves between two ways to run the same tokens. Nothing inside it is held against an engine."""

from dataclasses import dataclass

import numpy as np

from sdtrace.schema.arrays import Floats

#: Probabilities below are not told apart: a log of 1e-9 is as good as zero for every decision.
LEAST = 1e-9
#: The band is never narrower: engines add in another order than this one (float32, |logit| near 20).
LEAST_BAND = 1e-4


@dataclass(frozen=True)
class Band:
    """How far log p moves between two ways to run the same tokens: quantiles of |d log p|, and the band made of them."""

    median: float
    p99: float
    most: float
    positions: int
    width: float


def band_of(moved: Floats) -> Band:
    """From |d log p| of positions that were run in passes of two shapes: four times the 99th percentile. NaN is absent."""
    moved = moved[np.isfinite(moved)]
    if not len(moved):
        return Band(0.0, 0.0, 0.0, 0, LEAST_BAND)
    p99 = float(np.quantile(moved, 0.99))
    return Band(float(np.median(moved)), p99, float(moved.max()), len(moved), max(4 * p99, LEAST_BAND))
