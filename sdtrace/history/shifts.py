"""Change points of a series, for reporting: where a level changed, against what the series does by chance."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from sdtrace.history.trend import Point

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
    values = [float(p.value or 0.0) for p in points]
    gap, at = _largest(values)
    if at is None:
        return []
    before, after = _mean(values[:at]), _mean(values[at:])
    relative = after / before - 1 if before else 0.0
    p = _chance(values, gap)
    if p >= LEVEL or abs(relative) < _LEAST:
        return []
    return [Shift(points[at].night, relative, p), *_split(points[:at]), *_split(points[at:])]


def _largest(values: Sequence[float]) -> tuple[float, int | None]:
    """The split whose sides differ most, by the between-sides sum of squares."""
    n, total = len(values), sum(values)
    best: tuple[float, int | None] = (0.0, None)
    left = sum(values[: _SIDE - 1])
    for i in range(_SIDE, n - _SIDE + 1):
        left += values[i - 1]
        gap = (left / i - (total - left) / (n - i)) ** 2 * i * (n - i) / n
        if gap > best[0]:
            best = gap, i
    return best


def _chance(values: Sequence[float], gap: float) -> float:
    blocks = [list(values[i : i + _BLOCK]) for i in range(0, len(values), _BLOCK)]
    order = random.Random(20260101)  # the same series gives the same answer
    above = 0
    for _ in range(SHUFFLES):
        order.shuffle(blocks)
        above += _largest([x for block in blocks for x in block])[0] >= gap
    return (1 + above) / (1 + SHUFFLES)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
