"""The two sides of a comparison, as sums by the same groups of requests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.diagnosis.diagnose import Diagnosis
from sdtrace.schema.arrays import Floats
from sdtrace.speed.strata import attributes, levels
from sdtrace.speed.timing import Timing
from sdtrace.stats.jackknife import GROUPS, Interval, groups, jackknife, summed
from sdtrace.tally.frames import DEPTH

Statistic = Callable[[Floats, Floats], Floats]

DEPTHS = [f"{name}{j}" for name in "va" for j in range(DEPTH + 1)]
#: Columns of `places` that are added up by group, in this order.
COLUMNS = [
    *(
        "lines",
        "drafting",
        "drafted",
        "tested",
        "accepted",
        "tokens",
        "timed",
        "timed_tokens",
        "w",
        "wt",
        "wd",
        "wv",
        "ws",
    ),
    *("wh", "wn", "wnn", "wnv", "has_d", "has_v", "has_s", *DEPTHS),
]
AT = {name: i for i, name in enumerate(COLUMNS)}
#: Stretches of time that are left out in turn: few, because the load of a server wanders slowly.
BLOCKS = 10


@dataclass(frozen=True)
class Arm:
    """One side: what was read and found. `joined`: places with the attributes of their requests."""

    path: str
    audit: Audit
    found: Diagnosis
    joined: pl.DataFrame

    @property
    def timing(self) -> Timing:
        """What the steps say about speed. Raises ValueError where there are no steps."""
        if self.found.timing is None:
            raise ValueError("no steps")
        return self.found.timing

    @property
    def requests(self) -> int:
        """Requests that are compared one by one."""
        return int(self.joined["hash"].n_unique())


def arm(path: str, audit: Audit, found: Diagnosis) -> Arm | None:
    """A side with steps; None where there are only counts."""
    if found.timing is None or found.timing.places.is_empty():
        return None
    return Arm(path, audit, found, attributes(found.timing.places, found.timing.requests))


@dataclass(frozen=True)
class Pair:
    """Both sides. `sums` are (G, F) by group of requests and `blocks` by stretch of time; `group` has each row's group."""

    base: Arm
    candidate: Arm
    group: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
    sums: tuple[Floats, Floats]
    blocks: tuple[Floats, Floats]
    paired: bool

    @property
    def freedom(self) -> int:
        """Degrees of freedom: of the side with fewer requests."""
        return max(min(self.base.requests, self.candidate.requests, GROUPS) - 1, 1)

    def interval(self, statistic: Statistic) -> list[Interval]:
        """Every entry of statistic(base sums, candidate sums), with requests as clusters."""
        return two_sided(self.sums, statistic, self.freedom)

    def timed(self, statistic: Statistic) -> list[Interval]:
        """The same for statistics of time: the wider one of requests and of stretches of time as clusters."""
        mine = self.interval(statistic)
        if min(np.any(side != 0, axis=1).sum() for side in self.blocks) < 8:
            return mine
        return [wider(a, b) for a, b in zip(mine, two_sided(self.blocks, statistic, BLOCKS - 1), strict=True)]


def independent(one: Interval, other: Interval) -> Interval:
    """The difference of two values whose errors have nothing to do with each other: one - other."""
    value = one.value - other.value
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return Interval(value, None, None)
    half = float(np.hypot(one.high - one.low, other.high - other.low)) / 2
    return Interval(value, value - half, value + half)


def two_sided(sums: tuple[Floats, Floats], statistic: Statistic, freedom: int) -> list[Interval]:
    """The jackknife over groups that both sides share."""
    width = sums[0].shape[1]
    return jackknife(np.concatenate(sums, axis=1), lambda s: statistic(s[..., :width], s[..., width:]), freedom=freedom)


def wider(one: Interval, other: Interval) -> Interval:
    """The value of the first with the wider of both intervals."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return one
    half = max(one.high - one.low, other.high - other.low) / 2
    return Interval(one.value, one.value - half, one.value + half)


def pair(base: Arm, candidate: Arm) -> Pair:
    """Groups are dealt over the requests of both, so that a request which both know is left out of both at once."""
    hashes = [base.joined["hash"], candidate.joined["hash"]]
    group = groups(hashes)
    sums = tuple(
        summed(mine, side.joined.select(COLUMNS).to_numpy(), GROUPS)
        for mine, side in zip(group, (base, candidate), strict=True)
    )
    shared = len(set(hashes[0].unique()) & set(hashes[1].unique()))
    paired = shared > 0.8 * max(base.requests, candidate.requests)
    blocks = (_blocks(base.timing.blocks, 0), _blocks(candidate.timing.blocks, 1))
    return Pair(base, candidate, (group[0], group[1]), (sums[0], sums[1]), blocks, paired)


def _blocks(blocks: pl.DataFrame, side: int) -> Floats:
    """Sums of stretches of time in the columns of COLUMNS (others are 0); the sides' stretches are different groups."""
    table = blocks.group_by("bucket", maintain_order=True).agg(pl.col(pl.Float64).sum()).sort("bucket")
    known = [name for name in COLUMNS if name in table.columns]
    found = np.zeros((2 * BLOCKS, len(COLUMNS)))
    place = side * BLOCKS + np.arange(table.height) * min(BLOCKS, table.height) // max(table.height, 1)
    found[:, [AT[name] for name in known]] = summed(place, table.select(known).to_numpy(), 2 * BLOCKS)
    return found


def column(sums: Floats, name: str) -> Floats:
    """One of COLUMNS out of sums of shape (..., F)."""
    return sums[..., AT[name]]


def names_of(arms: Sequence[Arm]) -> list[str]:
    """Columns by which both sides can be cut: attributes of requests that vary."""
    shared = set(arms[0].joined.columns) & set(arms[1].joined.columns)
    both = pl.concat([arm.joined.select(sorted(shared)) for arm in arms], how="vertical_relaxed")
    return [name for name in levels(both) if both[name].n_unique() <= 60]
