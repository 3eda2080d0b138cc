"""Ratios of sums with intervals: Student's t, requests as clusters."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import polars as pl

from sdtrace.schema.arrays import Floats, Ints

#: Requests (or sessions of them) that an interval needs: fewer do not tell how much they differ.
FEWEST = 8


def clustered(requests: pl.DataFrame, above: str, below: str, *, rate: bool = False) -> list[float] | None:
    """95% interval of sum(above) / sum(below) with requests as clusters (those of one `session` as one, where there is such a
    column); None with fewer than FEWEST. Counts over counts stay at 0 or above, a `rate` in [0, 1].

    Ratio of sums with the linearised variance G/(G-1) sum e_i^2 / (sum D)^2, e_i = A_i - theta D_i (Cochran 1977), and
    Student's t with G - 1 degrees of freedom.
    """
    rows = requests.filter(pl.col(below) > 0)
    if "session" in rows.columns and rows["session"].n_unique() < rows.height:
        rows = rows.group_by("session", maintain_order=True).agg(pl.col(above, below).sum())
    theta, half = ratio(rows[above].to_numpy().astype(np.float64), rows[below].to_numpy().astype(np.float64))
    if theta is None or half is None:
        return None
    if rate and theta > 1:
        return None  # more than all: what was counted is at fault
    return [max(theta - half, 0.0), min(theta + half, 1.0)] if rate else [max(theta - half, 0.0), theta + half]


def student(level: float, freedom: int) -> float:
    """Quantile of Student's t by the Cornish-Fisher expansion, exact for 1 and 2 degrees (Abramowitz 26.7.5)."""
    if freedom == 1:
        return math.tan(math.pi * (level - 0.5))
    if freedom == 2:
        return (2 * level - 1) * math.sqrt(2 / (4 * level * (1 - level)))
    z, v = NormalDist().inv_cdf(level), float(freedom)
    terms: Sequence[float] = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / v**k for k, term in enumerate(terms, start=1))


def by_cluster(values: Floats, cluster: Ints) -> Floats:
    """Sums of values (R) of requests over clusters (R, numbered from 0)."""
    return np.bincount(cluster, weights=values).astype(np.float64)


def ratio(above: Floats, below: Floats) -> tuple[float | None, float | None]:
    """sum(above) / sum(below) over requests and half of its 95% interval; None where there is nothing, or fewer than FEWEST.

    Linearised variance G/(G-1) sum (A_i - theta D_i)^2 / (sum D)^2 with Student's t (Cochran 1977).
    """
    used = below > 0
    above, below = above[used], below[used]
    g, d = len(below), float(below.sum())
    if not d:
        return None, None
    theta = float(above.sum()) / d
    if g < FEWEST:
        return theta, None
    squares = float(((above - theta * below) ** 2).sum())
    return theta, student(0.975, g - 1) * float(np.sqrt(g / (g - 1) * squares)) / d


def wilson(above: float, below: float) -> tuple[float, float]:
    """95% interval of a share from `above` of `below` independent trials (Wilson 1927); it has a width at 0 and 1 too."""
    z2, rate = NormalDist().inv_cdf(0.975) ** 2, above / below
    centre = (rate + z2 / (2 * below)) / (1 + z2 / below)
    half = math.sqrt(z2 * max(rate * (1 - rate), 0.0) / below + z2 * z2 / (4 * below * below)) / (1 + z2 / below)
    return centre - half, centre + half
