"""Intervals of anything that is computed from sums, with requests as clusters: the delete-a-group jackknife."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.schema.arrays import Floats
from sdtrace.stats.ratio import FEWEST, student

#: Groups of requests that are left out in turn. More cost more and say no more.
GROUPS = 200


@dataclass(frozen=True)
class Interval:
    """A value and the ends of its interval; the ends are None where too few groups are known."""

    value: float
    low: float | None
    high: float | None

    @property
    def ends(self) -> list[float] | None:
        """[low, high], or None."""
        return None if self.low is None or self.high is None else [self.low, self.high]


def groups(keys: Sequence[pl.Series]) -> list[npt.NDArray[np.int64]]:
    """A group number for every row of each series of request hashes; equal hashes fall together in all of them.

    Requests are dealt to GROUPS groups of equal size in the order of their hash, so that a request which two traces share is
    left out of both at once: a paired comparison is paired without being told.
    """
    every = pl.concat([key.unique() for key in keys]).unique().sort().to_numpy()
    rank = np.arange(len(every)) % GROUPS
    return [rank[np.searchsorted(every, key.to_numpy())] for key in keys]


def summed(group: npt.NDArray[np.int64], rows: Floats, count: int) -> Floats:
    """Sums of `rows` (n, F) by group: (count, F)."""
    return np.stack([np.bincount(group, weights=column, minlength=count) for column in rows.T], axis=1)


def jackknife(
    sums: Floats, statistic: Callable[[Floats], Floats], level: float = 0.95, freedom: int | None = None
) -> list[Interval]:
    """Every entry of statistic(sums over groups) with its interval.

    `sums` is (G, F), a row a group; `statistic` maps (..., F) to (..., K). Delete-one variance (G - 1)/G sum (t_g - mean)^2
    (Efron 1982) and Student's t with G - 1 degrees of freedom, or fewer where the caller knows better.
    """
    used = sums[np.any(sums != 0, axis=1)]
    count = len(used)
    total = used.sum(axis=0)
    with np.errstate(all="ignore"):
        value = np.atleast_1d(statistic(total))
        if count < FEWEST:
            return [Interval(float(v), None, None) for v in value]
        left = np.asarray(statistic(total - used), dtype=np.float64).reshape(count, -1)
    half = student(0.5 + level / 2, min(count - 1, freedom or count)) * np.sqrt(
        (count - 1) / count * ((left - left.mean(axis=0)) ** 2).sum(0)
    )
    made = zip(value, half, strict=True)
    return [
        Interval(float(v), float(v - h), float(v + h)) if np.isfinite(h) else Interval(float(v), None, None)
        for v, h in made
    ]
