"""Where a series of weighted means changes: steps that stay, and slow ramps, with the chance that noise alone does it.

Steps are searched in seeded intervals (Kovacs et al. 2023, Biometrika: O(m log m) of them, of every length), the narrowest one
over the threshold first (Baranowski et al. 2019), and then tried again: the two stretches beside a step are compared by
Student's t with the spread of the points themselves, never below what counts alone give, widened by the correlation of
neighbouring residuals ((1 + r) / (1 - r)). A ramp is fitted by least squares over its two ends.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sdtrace.schema.arrays import Floats

#: Points on either side of a step; z that a candidate must have; points that a ramp is fitted to at the most.
SIDE, CANDIDATE, KNOTS = 2, 4.0, 28
#: Correlation of residuals beyond which nothing more is taken off.
_MOST_CORRELATED = 0.9
_POINTS = 4 * KNOTS
#: How much better a ramp must be than steps: a Bayes factor of 20 in Schwarz's criterion.
_CLEARLY = 6.0
#: Squares of residuals, as a share of those of the values, that are rounding.
_ROUNDING = 1e-18


@dataclass(frozen=True)
class Turn:
    """A change behind point `last` (the last one of the old level), done at point `first` (the first of the new level).

    `chance`: that noise alone makes such a step at one of the points. A ramp has points between the two.
    """

    last: int
    first: int
    before: float
    after: float
    chance: float

    @property
    def slow(self) -> bool:
        """Whether it took several points."""
        return self.first - self.last > 2


def turns(value: Floats, weight: Floats, level: float, *, counts: bool, least: float = 0.2) -> list[Turn]:
    """Changes of a series, in order. `counts`: the values are shares of `weight` trials. `least`: of the larger level."""
    if len(value) < 2 * SIDE + 1:
        return []
    cuts = _cuts(value, weight, counts)
    if not cuts:
        return []
    steps = _tried(value, weight, cuts, level, counts, least)
    ramp = _ramp(value, weight, level, counts, least)
    if ramp is None or _cost(value, weight, steps) <= _cost(value, weight, [ramp]) + _CLEARLY:
        return steps
    return [ramp]


def chance_of(t: float, freedom: float) -> float:
    """Two-sided tail of Student's t, by the normal deviate that has it (Wallace 1959)."""
    z = math.sqrt(freedom * math.log1p(t * t / freedom)) * (8 * freedom + 1) / (8 * freedom + 3)
    return math.erfc(z / math.sqrt(2))


def _least_spread(value: Floats, weight: Floats, counts: bool) -> float:
    """Variance of one trial where only counting makes it."""
    if not counts:
        return 1e-12 * max(float(np.mean(value)) ** 2, 1e-12)
    share = float(np.sum(value * weight) / np.sum(weight))
    return max(share * (1 - share), 1.0 / float(np.sum(weight)))


def _cuts(value: Floats, weight: Floats, counts: bool) -> list[int]:
    """Candidates: indices of the first point of a new level."""
    spread = np.diff(value) ** 2 / (1 / weight[1:] + 1 / weight[:-1])
    noise = max(float(np.median(spread)) / 0.455, _least_spread(value, weight, counts))
    sums = np.concatenate([[0.0], np.cumsum(weight)])
    moments = np.concatenate([[0.0], np.cumsum(weight * value)])
    found: list[tuple[int, float, int, int, int]] = []
    for start, stop in _seeded(len(value)):
        cut, gain = _best(sums, moments, start, stop)
        if gain > CANDIDATE**2 * noise:
            found.append((stop - start, -gain, cut, start, stop))
    chosen: list[int] = []
    for _, _, cut, start, stop in sorted(found):
        if not any(start < other < stop for other in chosen):
            chosen.append(cut)
    return sorted(chosen)


def _seeded(points: int) -> list[tuple[int, int]]:
    made = set()
    length = float(points)
    while length >= 2 * SIDE:
        size, shift = math.ceil(length), length / 2
        count = max(1, math.ceil((points - size) / shift) + 1)
        made |= {(min(int(i * shift), points - size), min(int(i * shift), points - size) + size) for i in range(count)}
        length /= math.sqrt(2)
    return sorted(made)


def _best(sums: Floats, moments: Floats, start: int, stop: int) -> tuple[int, float]:
    """The split of an interval that gains most, and the gain in weighted squares."""
    cut = np.arange(start + SIDE, stop - SIDE + 1)
    one, two = sums[cut] - sums[start], sums[stop] - sums[cut]
    left, right = (moments[cut] - moments[start]) / one, (moments[stop] - moments[cut]) / two
    gain = (left - right) ** 2 * one * two / (one + two)
    best = int(np.argmax(gain))
    return int(cut[best]), float(gain[best])


def _tried(value: Floats, weight: Floats, cuts: Sequence[int], level: float, counts: bool, least: float) -> list[Turn]:
    """Steps that stand the test against both stretches beside them; the weakest is taken out until all do."""
    kept = list(cuts)
    while kept:
        made = _between(value, weight, kept, counts)
        worst = max(made, key=lambda turn: (not _matters(turn, least), turn.chance))
        if _matters(worst, least) and worst.chance <= level:
            return made
        kept.remove(worst.first)
    return []


def _matters(turn: Turn, least: float) -> bool:
    return abs(turn.after - turn.before) >= least * max(abs(turn.after), abs(turn.before), 1e-12)


def _between(value: Floats, weight: Floats, cuts: Sequence[int], counts: bool) -> list[Turn]:
    edges = [0, *cuts, len(value)]
    parts = [slice(a, b) for a, b in pairwise(edges)]
    means = [float(np.sum(weight[p] * value[p]) / np.sum(weight[p])) for p in parts]
    rest = np.concatenate([(value[p] - mean) * np.sqrt(weight[p]) for p, mean in zip(parts, means, strict=True)])
    widened = _widened(rest, float(np.sum(weight * value**2)))
    made = []
    for i, cut in enumerate(cuts):
        one, two = parts[i], parts[i + 1]
        near = rest[one.start : two.stop]
        least = max(_least_spread(value[p], weight[p], counts) for p in (one, two))
        freedom = max(len(near) - 2, 1) / widened
        spread = max(float(np.sum(near**2)) / max(len(near) - 2, 1), least) * widened
        error = math.sqrt(spread * (1 / float(np.sum(weight[one])) + 1 / float(np.sum(weight[two]))))
        chance = chance_of((means[i + 1] - means[i]) / error, max(freedom, 1.0)) * len(value)
        made.append(Turn(cut - 1, cut, means[i], means[i + 1], min(chance, 1.0)))
    return made


def _widened(rest: Floats, scale: float) -> float:
    """How much less the points tell because neighbours err together, beyond what independent ones show by chance (one
    standard error)."""
    if len(rest) < 8 or float(np.sum(rest**2)) <= _ROUNDING * scale:
        return 1.0
    lag = float(np.sum(rest[1:] * rest[:-1]) / np.sum(rest**2)) - 1 / math.sqrt(len(rest))
    lag = min(max(lag, 0.0), _MOST_CORRELATED)
    return (1 + lag) / (1 - lag)


def _ramp(value: Floats, weight: Floats, level: float, counts: bool, least: float) -> Turn | None:
    """The slow change that fits best, if it is one: level, straight line, level."""
    size = max(1, math.ceil(len(value) / _POINTS))
    if len(value) // size < 8:
        return None
    edges = np.arange(0, len(value), size)
    w = np.add.reduceat(weight, edges)
    y = np.add.reduceat(weight * value, edges) / w
    n = len(y)
    knots = np.unique(np.linspace(0, n - 1, min(n, KNOTS)).astype(int))
    best: tuple[float, Turn] | None = None
    for i, begin in enumerate(knots):
        for end in knots[i + 1 :]:
            if end - begin < 3:
                continue
            shape = np.clip((np.arange(n) - begin) / (end - begin), 0.0, 1.0)
            mean = float(np.sum(w * shape) / np.sum(w))
            centred = shape - mean
            squares = float(np.sum(w * centred**2))
            slope = float(np.sum(w * centred * y)) / squares
            before = float(np.sum(w * y) / np.sum(w)) - slope * mean
            rest = (y - before - slope * shape) * np.sqrt(w)
            cost = float(np.sum(rest**2))
            if best is None or cost < best[0]:
                widened = _widened(rest, float(np.sum(w * y**2)))
                spread = max(cost / (n - 4), _least_spread(y, w, counts) if counts else 1e-15) * widened
                t = slope / math.sqrt(max(spread, 1e-300) / squares)
                chance = chance_of(t, max((n - 4) / widened, 1.0)) * len(knots) ** 2 / 2
                last, first = int(edges[begin]), int(min(edges[end] + size - 1, len(value) - 1))
                best = cost, Turn(last, first, before, before + slope, min(chance, 1.0))
    if best is None or best[1].chance > level or not _matters(best[1], least):
        return None
    return best[1]


def _cost(value: Floats, weight: Floats, made: Sequence[Turn]) -> float:
    """What a description of the series leaves over, and what its own parameters cost (Schwarz 1978)."""
    fitted = np.full(len(value), float(np.sum(weight * value) / np.sum(weight)))
    if len(made) == 1 and made[0].slow:
        turn = made[0]
        shape = np.clip((np.arange(len(value)) - turn.last) / (turn.first - turn.last), 0.0, 1.0)
        fitted, free = turn.before + (turn.after - turn.before) * shape, 4
    else:
        free = 2 * len(made) + 1
        for i, turn in enumerate(made):
            fitted[: turn.first] = turn.before if i == 0 else fitted[: turn.first]
            fitted[turn.first :] = turn.after
    left = float(np.sum(weight * (value - fitted) ** 2)) / float(np.sum(weight))
    return len(value) * math.log(max(left, 1e-12)) + free * math.log(len(value))
