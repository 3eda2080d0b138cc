"""From sums to a verdict of one statistic: how sure, how large, and what would have been seen.

The level is family-wise: FAMILY is shared among the statistics that the log allows and the runs of a report (Bonferroni), so that
a report on a correct engine fires any of them with a chance of FAMILY at most. A statistic fires only with an effect that matters.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

#: Chance that a report on a correct engine fires any statistical check.
FAMILY = 4e-4
#: The smallest effect worth a finding, in points of acceptance (total variation per tested position) or of probability.
LEAST = 0.002
#: Information (sum of variances) below which a normal tail says nothing.
INFORMATION = 4.0
#: Bins with less information are added to the next one.
_BIN = 8.0
#: A sum or a product that changes by less has all the digits that a float gives it.
_EPSILON = 1e-15
_POWER = NormalDist().inv_cdf(0.9)


@dataclass(frozen=True)
class Reading:
    """One statistic read. `effect` with its 95% interval is d / n; `visible` is the effect that would have been found
    with a chance of 0.9; `z` is what rounding cannot explain, in standard errors, corrected for skewness; `p` two-sided."""

    code: str
    n: int
    effect: float
    low: float
    high: float
    visible: float
    z: float
    p: float
    enough: bool

    def fires(self, level: float, least: float = LEAST) -> bool:
        """Both evidence and an effect that matters."""
        return self.p < level and abs(self.effect) >= least


def read(row: Mapping[str, Any], level: float, inflation: float = 1.0, *, unit: bool = False) -> Reading:
    """Read one row of the evidence frame. `inflation` scales the variance where draws are shared between requests; `unit`: its terms lie
    within [-1, 1], so that a sum of little variance may tell as well. Any other one does not: a weight may be 10."""
    n, d, v, s = row["n"], row["d"], row["v"] * inflation, row["s"]
    if not n or v <= 0:
        return Reading(row["code"], int(n), 0.0, 0.0, 0.0, math.inf, 0.0, 1.0, enough=False)
    error = math.sqrt(v)
    z = math.copysign(max(abs(d) - s, 0.0) / error, d)
    z = _unskewed(z, row["k"] / row["v"] ** 1.5, exact=row["exact"])
    half = 1.96 * error + s
    visible = ((quantile(level) + _POWER) * error + s) / n
    enough = v >= INFORMATION
    p = two_sided(z)
    if not enough:
        p = _bernstein(max(abs(d) - s, 0.0), INFORMATION) if unit and inflation <= 1.0 else 1.0
    return Reading(row["code"], int(n), d / n, (d - half) / n, (d + half) / n, visible, z, p, enough)


def _bernstein(distance: float, variance: float) -> float:
    """Two-sided chance of a sum of steps within [-1, 1] so far from 0 (Freedman 1975); a variance too small to trust a normal
    approximation, or its own estimate, is taken to be `variance`."""
    return min(1.0, 2.0 * math.exp(-(distance**2) / (2.0 * (variance + distance / 3.0))))


def _unskewed(z: float, skew: float, *, exact: bool) -> float:
    """Edgeworth's first term, for a known variance or for one estimated from the same values (Hall 1992); only shrinks."""
    bounded = min(z * z, 36.0)
    shift = -skew * (bounded - 1) / 6 if exact else skew * (2 * bounded + 1) / 6
    moved = z + shift
    return z if abs(moved) > abs(z) and moved * z > 0 else 0.0 if moved * z <= 0 else moved


def bins(row: Mapping[str, Any], inflation: float = 1.0) -> tuple[float, float, int]:
    """(p, effect, bins) of the bins together: sum of squares over variances, chi-square with a degree a bin.

    Bins of little information are added to the next. The effect is the sum over bins of what exceeds two standard errors,
    per slot.
    """
    squares, beyond = 0.0, 0.0
    pooled = _pooled([(row[f"d{i}"], row[f"v{i}"] * inflation, row[f"s{i}"]) for i in range(10)])
    for d, v, s in pooled:
        excess = max(abs(d) - s, 0.0)
        squares += excess**2 / v
        beyond += max(excess - 2 * math.sqrt(v), 0.0)
    used = len(pooled)
    return (chi_square(squares, used) if used > 1 else 1.0), beyond / max(row["n"], 1.0), used


def _pooled(parts: Sequence[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """Neighbours added up until each has the information of _BIN; what is left at the end goes to the last."""
    found: list[tuple[float, float, float]] = []
    d = v = s = 0.0
    for part in parts:
        d, v, s = d + part[0], v + part[1], s + part[2]
        if v >= _BIN:
            found.append((d, v, s))
            d = v = s = 0.0
    if found and v > 0:
        last = found.pop()
        found.append((last[0] + d, last[1] + v, last[2] + s))
    return found


def two_sided(z: float) -> float:
    """Chance of a standard normal beyond |z|."""
    return math.erfc(abs(z) / math.sqrt(2))


def quantile(level: float) -> float:
    """Two-sided quantile of the standard normal."""
    return -NormalDist().inv_cdf(max(level, 1e-300) / 2)


def chi_square(x: float, freedom: float) -> float:
    """Chance of chi-square with `freedom` degrees beyond x: the regularised incomplete gamma function Q(freedom / 2, x / 2).

    Below its mean from the series of P, above it from Lentz's continued fraction of Q (Numerical Recipes, 3rd edition, 6.2),
    so that a small tail keeps its digits: 1e-12 relative, less from a million degrees on, where the logarithms cancel.
    """
    if freedom <= 0 or x <= 0:
        return 1.0
    if math.isinf(x):
        return 0.0
    a, half = freedom / 2, x / 2
    front = math.exp(a * math.log(half) - half - math.lgamma(a))
    return 1.0 - front * _series(a, half) if half < a + 1 else front * _fraction(a, half)


def _series(a: float, x: float) -> float:
    """P(a, x) without its front: sum of x^n / (a (a + 1) ... (a + n))."""
    total = term = 1.0 / a
    while term > total * _EPSILON:
        a += 1.0
        term *= x / a
        total += term
    return total


def _fraction(a: float, x: float) -> float:
    """Q(a, x) without its front, for x >= a + 1: 1 / (x + 1 - a - 1 (1 - a) / (x + 3 - a - ...)), by Lentz's method."""
    below = x + 1.0 - a
    c, d = math.inf, 1.0 / below
    found, i, step = d, 0, 0.0
    while abs(step - 1.0) > _EPSILON:
        i += 1
        top = -i * (i - a)
        below += 2.0
        d = 1.0 / (top * d + below)
        c = below + top / c
        step = c * d
        found *= step
    return found


def overdispersion(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float, int]:
    """(p, inflation, lanes) of lanes (step, position) over requests: their squares against their variances.

    With draws of their own the squared sum of a lane has the sum of squares v as its mean, whatever the chances are, and
    about 2 v^2 + v as its variance (Satterthwaite's degrees of freedom). A bias that lanes share is taken out by position.
    """
    lanes = [r for r in rows if r["n"] >= 2 and r["v"] > 0]
    by_position: dict[int, list[float]] = {}
    for r in lanes:
        sums = by_position.setdefault(r["position"], [0.0, 0.0])
        sums[0] += r["d"]
        sums[1] += r["n"]
    total = sum(r["v"] for r in lanes)
    if len(lanes) < 8 or total < 20:
        return 1.0, 1.0, len(lanes)
    shift = {place: d / n for place, (d, n) in by_position.items()}
    squares = sum((r["d"] - shift[r["position"]] * r["n"]) ** 2 for r in lanes)
    freedom = 2 * total**2 / sum(2 * r["v"] ** 2 + r["v"] for r in lanes)
    return chi_square(squares * freedom / total, freedom), squares / total, len(lanes)
