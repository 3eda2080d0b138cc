"""Change points of a series, for reporting: where a level changed, against what the series does by chance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sdtrace.history.trend import Point
from sdtrace.schema.arrays import Floats

#: Shufflings of the series itself that the null is made of, and the chance that a split must beat.
SHUFFLES, LEVEL = 499, 0.005
#: Nights that are shuffled together (neighbours are alike), nights on each side, the least change that is told.
_BLOCK, _SIDE, _LEAST = 3, 3, 0.01


@dataclass(frozen=True)
class Shift:
    """The first night of a new level, the change relative to the level before, and how often chance does as much."""

    night: str
    change: float
    p: float


def shifts(points: Sequence[Point]) -> list[Shift]:
    """Change points by binary segmentation, oldest first, each held to a permutation of its own stretch."""
    known = [p for p in points if p.value is not None]
    return sorted(_split(known), key=lambda s: s.night)


def _split(points: Sequence[Point]) -> list[Shift]:
    values = np.array([float(p.value or 0.0) for p in points])
    if len(values) < 2 * _SIDE:
        return []
    gaps = _gaps(values[None, :])[0]
    at = int(gaps.argmax()) + _SIDE
    before, after = values[:at].mean(), values[at:].mean()
    relative = float(after / before - 1) if before else 0.0
    p = _chance(values, gaps.max())
    if p >= LEVEL or abs(relative) < _LEAST:
        return []
    return [Shift(points[at].night, relative, p), *_split(points[:at]), *_split(points[at:])]


def _gaps(values: Floats) -> Floats:
    """Sum of squares between the two sides of every split that leaves _SIDE nights on each, by row."""
    n = values.shape[1]
    i = np.arange(_SIDE, n - _SIDE + 1)
    left, total = np.cumsum(values, axis=1)[:, i - 1], values.sum(axis=1, keepdims=True)
    return np.asarray((left / i - (total - left) / (n - i)) ** 2 * i * (n - i) / n)


def _chance(values: Floats, gap: float) -> float:
    """How often shuffled nights have a split as good; the same series gives the same answer."""
    block = np.arange(len(values)) // _BLOCK
    ranks = np.random.default_rng(20260101).random((SHUFFLES, block[-1] + 1))
    order = np.argsort(ranks[:, block], axis=1, kind="stable")
    above = int((_gaps(values[order]).max(axis=1) >= gap).sum())
    return (1 + above) / (1 + SHUFFLES)
