"""Whether a series of nights left its level: an e-process with mean and scale unknown, and the start of the change too.

Night i has the value y_i with error variance sigma^2 v_i, v_i known up to sigma. A change adds delta h_i, h_i = 1 from a
night on (a step) or growing from it (a ramp), delta normal with a variance of tau^2 sigma^2. With the right Haar prior on
mean and scale, the marginal likelihood ratio depends on the data only through what no shift and no scale moves, and is an
e-process for "one level, whatever it is" (Perez-Ortiz, Lardy, de Heide and Gruenwald 2022):

    (1 + tau^2 a)^(-1/2) (SS0 / SS1)^((n - 1) / 2),   SS1 = SS0 - b^2 / (a + tau^-2)

with weights 1 / v, SS0 the squares of y about its mean, a those of h about its own, b their products. Nights of earlier
stretches, each about a level of its own, tell the scale too: their squares and degrees of freedom are added. The start
has the weight 1 / s for the s-th night, up to HORIZON: how long a level has held before costs little.
"""

from collections.abc import Sequence

import numpy as np

from sdtrace.schema.arrays import Floats

#: The size of a change that is expected, in standard deviations of a usual night; nights in which a ramp gains one of it.
SIZE, RAMP = 2.0, 7.0
#: Nights without a deploy within which a change may begin.
HORIZON = 3650
#: The first nights, which tell what a usual one is; nothing is said before.
_FIRST = 3
_STARTS = -np.log(np.arange(1.0, HORIZON + 1.0)) - np.log((1.0 / np.arange(1.0, HORIZON + 1.0)).sum())


def scatter(values: Sequence[float], variances: Sequence[float]) -> tuple[float, int]:
    """Squares of a stretch about its level in units of the variances, and their degrees of freedom."""
    y, w = np.asarray(values, dtype=np.float64), 1.0 / np.asarray(variances, dtype=np.float64)
    if not len(y):
        return 0.0, 0
    return float((w * (y - (w * y).sum() / w.sum()) ** 2).sum()), len(y) - 1


def log_e(
    values: Sequence[float],
    variances: Sequence[float],
    start: int | None = None,
    before: tuple[float, int] = (0.0, 0),
) -> list[float]:
    """Log of the e-process at every night. `start`: the only night that a step can begin at; else any, half of the
    weight for steps and half for ramps. `before` is the scatter of earlier stretches."""
    y, v = np.asarray(values, dtype=np.float64)[:HORIZON], np.asarray(variances, dtype=np.float64)[:HORIZON]
    if len(y) < _FIRST:
        return [0.0] * len(values)
    w, prior = 1.0 / v, SIZE * SIZE * float(np.median(v[:_FIRST]))
    sums = [np.cumsum(x) for x in _moments(y - y[0], w)]
    found = [_at([s[: n + 1] for s in sums], prior, start, before) if n + 1 >= _FIRST else 0.0 for n in range(len(y))]
    return found + found[-1:] * (len(values) - len(found))


def _moments(y: Floats, w: Floats) -> list[Floats]:
    """What the sums about means are made of, by night."""
    i = np.arange(len(y), dtype=np.float64)
    return [w, w * y, w * y * y, w * i, w * i * i, w * i * y]


def _at(sums: Sequence[Floats], prior: float, start: int | None, before: tuple[float, int]) -> float:
    """Log of the e-value of the nights so far, from the running sums of their moments."""
    n = len(sums[0])
    freedom = n - 1 + before[1]
    total, first, second = (float(s[-1]) for s in sums[:3])
    squares = second - first * first / total + before[0]
    if squares <= 1e-12 * abs(second) or (start is not None and start >= n):
        return 0.0
    begins = np.arange(1, n) if start is None else np.array([start])
    w, y, _, wi, wii, wiy = (s[-1] - s[begins - 1] for s in sums)  # over the nights from a start on
    steps = _ratio(w, w, y, total, first, squares, prior, freedom)
    if start is not None:
        return float(steps[0])
    back = begins - 1.0
    slope, bend = (wi - back * w) / RAMP, (wii - 2.0 * back * wi + back * back * w) / RAMP**2
    ramps = _ratio(slope, bend, (wiy - back * y) / RAMP, total, first, squares, prior, freedom)
    mixed = np.logaddexp(steps, ramps) - np.log(2.0) + _STARTS[: n - 1]
    # starts that are still to come have changed nothing
    coming = np.log(max(-np.expm1(np.logaddexp.reduce(_STARTS[: n - 1])), 1e-300))
    return float(np.logaddexp(np.logaddexp.reduce(mixed), coming))


def _ratio(
    h: Floats, hh: Floats, hy: Floats, total: float, first: float, squares: float, prior: float, freedom: int
) -> Floats:
    """Log ratio by start, from weighted sums of the shape, its square, and its product with the values."""
    a, b = hh - h * h / total, hy - h * first / total
    left = np.maximum(1.0 - b * b / ((a + 1.0 / prior) * squares), 1e-300)
    return np.asarray(-0.5 * np.log1p(prior * a) - 0.5 * freedom * np.log(left))
