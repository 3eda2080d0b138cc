"""Whether a series of nights left its level: an e-process with mean and scale unknown, and the start of the change too.

Night i has the value y_i with error variance sigma^2 v_i, v_i known up to sigma. A change adds delta h_i, h_i = 1 from a
night on (a step) or growing from it (a ramp), delta normal with a variance of tau^2 sigma^2. With the right Haar prior on
mean and scale, the marginal likelihood ratio depends on the data only through what no shift and no scale moves, and is an
e-process for "one level, whatever it is" (Perez-Ortiz, Lardy, de Heide and Gruenwald 2022):

    (1 + tau^2 a)^(-1/2) (SS0 / SS1)^((n - 1) / 2),   SS1 = SS0 - b^2 / (a + tau^-2)

with weights 1 / v, SS0 the squares of y about its mean, a those of h about its own, b their products.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Sizes of a change that are expected, in standard deviations of a usual night; nights in which a ramp gains one of them.
SIZES, RAMP = (1.0, 4.0), 7.0


def log_e(values: Sequence[float], variances: Sequence[float], start: int | None = None) -> list[float]:
    """Log of the e-process at every night. `start`: the only night that a step can begin at; else any, with weight
    1 / s(s + 1) for the s-th after the first, half of it for steps and half for ramps."""
    y, v = np.asarray(values, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    return [_at(y[: n + 1], v[: n + 1], start) for n in range(len(y))]


def _at(y: Floats, v: Floats, start: int | None) -> float:
    n = len(y)
    if n < 3 or (start is not None and start >= n):
        return 0.0
    w = 1.0 / v
    squares = float(_about(y, y, w))
    if squares <= 0.0:
        return 0.0
    nights = np.arange(n)
    first = nights[1:] if start is None else np.array([start])
    steps = (nights[None, :] >= first[:, None]).astype(np.float64)
    usual = float(np.median(v))
    if start is not None:
        logs = _ratios(y, w, squares, steps, usual)
        return float(np.logaddexp.reduce(logs, axis=0)[0] - np.log(len(SIZES)))
    ramps = np.maximum(nights[None, :] - first[:, None] + 1.0, 0.0) / RAMP
    both = np.concatenate([_ratios(y, w, squares, shape, usual) for shape in (steps, ramps)])
    mixed = np.logaddexp.reduce(both, axis=0) - np.log(2 * len(SIZES)) - np.log(first * (first + 1.0))
    # starts that are still to come have changed nothing
    return float(np.logaddexp(np.logaddexp.reduce(mixed), -np.log(n)))


def _ratios(y: Floats, w: Floats, squares: float, shapes: Floats, usual: float) -> Floats:
    """Log ratio by size (rows) and start (columns)."""
    n = len(y)
    a, b = _about(shapes, shapes, w), _about(shapes, y, w)
    found = []
    for size in SIZES:
        prior = size * size * usual
        left = np.maximum(1.0 - b * b / ((a + 1.0 / prior) * squares), 1e-300)
        found.append(-0.5 * np.log1p(prior * a) - 0.5 * (n - 1) * np.log(left))
    return np.array(found)


def _about(x: Floats, y: Floats, w: Floats) -> Floats:
    """Weighted sum of products about the weighted means, over the last axis."""
    total = w.sum()
    return np.asarray((w * x * y).sum(-1) - (w * x).sum(-1) * (w * y).sum(-1) / total)
