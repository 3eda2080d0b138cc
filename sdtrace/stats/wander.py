"""Sums over time whose neighbours are alike: the weather of a server makes a long trace worth few independent stretches."""

import numpy as np

from sdtrace.schema.arrays import Floats

#: Stretches that a series is cut into: more of them hide in the noise of single steps that neighbours are alike.
CUT = 40
#: The fewest stretches that tell how much neighbours are alike; the most that they are taken to be.
FEWEST, ALIKE = 16, 0.95


def wander(parts: Floats) -> tuple[Floats, Floats] | None:
    """Variance of the sum of `parts` (n, K) in the order of time, and its degrees of freedom, each (K); None where n is too small.

    Neighbouring stretches follow each other with an r of their own, corrected for its bias -(1 + 3 r)/n (Kendall 1954); the sum then
    has (1 + r)/(1 - r) times the variance of independent ones, and as much fewer of these.
    """
    if len(parts) < FEWEST:
        return None
    cut = min(CUT, len(parts))
    place = np.arange(len(parts)) * cut // len(parts)
    x = np.stack([np.bincount(place, weights=column, minlength=cut) for column in parts.T], axis=1)
    x = x - x.mean(axis=0)
    squares = (x * x).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.nan_to_num((x[1:] * x[:-1]).sum(axis=0) / squares)
    r = np.where(r > 1.0 / np.sqrt(cut), r + (1 + 3 * r) / cut, 0.0)  # less is no sign of anything
    r = np.clip(r, 0.0, ALIKE)
    return squares * cut / (cut - 1) * (1 + r) / (1 - r), np.maximum(cut * (1 - r) / (1 + r) - 1, 2.0)
