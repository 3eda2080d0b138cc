"""The two sides of a comparison, as sums by the same groups of requests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.diagnosis.diagnose import Diagnosis
from sdtrace.schema.arrays import Floats
from sdtrace.speed.strata import attributes, levels, names_session
from sdtrace.speed.timing import Timing
from sdtrace.stats.jackknife import GROUPS, Interval, groups, jackknife, summed
from sdtrace.stats.ratio import FEWEST, student
from sdtrace.stats.wander import wander
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

    @property
    def clusters(self) -> int:
        """Requests, those of one session as one."""
        return int(self.joined["session"].n_unique())


def arm(path: str, audit: Audit, diagnosis: Diagnosis) -> Arm | None:
    """A side with steps; None where there are only counts."""
    if diagnosis.timing is None or diagnosis.timing.places.is_empty():
        return None
    return Arm(path, audit, diagnosis, attributes(diagnosis.timing.places, diagnosis.timing.requests))


@dataclass(frozen=True)
class Pair:
    """Both sides. `sums` are (G, F) by group of sessions and `blocks` by stretch of time; `group` has each row's group."""

    base: Arm
    candidate: Arm
    group: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
    sums: tuple[Floats, Floats]
    blocks: tuple[Floats, Floats]
    paired: bool

    @property
    def freedom(self) -> int:
        """Degrees of freedom: of the side with fewer requests that go together with no others."""
        return max(min(self.base.clusters, self.candidate.clusters, GROUPS) - 1, 1)

    def interval(self, statistic: Statistic) -> list[Interval]:
        """Every entry of statistic(base sums, candidate sums), with sessions of requests as clusters."""
        found = two_sided(self.sums, statistic, self.freedom)
        if min(self.base.clusters, self.candidate.clusters) < FEWEST:
            return [Interval(one.value, None, None) for one in found]
        return found

    def timed(self, statistic: Statistic) -> list[Interval]:
        """The same for statistics of time: the wider one of sessions and of stretches of time, which are like their neighbours."""
        mine = self.interval(statistic)
        halves = over_time(self.blocks, statistic)
        if halves is None:
            return [Interval(one.value, None, None) for one in mine]
        return [wider(one, half) for one, half in zip(mine, halves.tolist(), strict=True)]


def over_time(blocks: tuple[Floats, Floats], statistic: Statistic) -> Floats | None:
    """Half of the 95% interval (K) of statistic(base, candidate) by its stretches of time; None where they are too few.

    What the whole changes by without a stretch is the part of that stretch; both sides wander on their own.
    """
    total = blocks[0].sum(axis=0), blocks[1].sum(axis=0)
    with np.errstate(all="ignore"):
        value = np.asarray(statistic(*total))
        parts = [
            value - np.asarray(statistic(total[0] - blocks[0], np.broadcast_to(total[1], blocks[0].shape))),
            value - np.asarray(statistic(np.broadcast_to(total[0], blocks[1].shape), total[1] - blocks[1])),
        ]
    one, other = (wander(np.nan_to_num(part)) for part in parts)
    if one is None or other is None:
        return None
    (v0, n0), (v1, n1) = one, other
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = np.nan_to_num((v0 + v1) ** 2 / (v0**2 / n0 + v1**2 / n1), nan=2.0)  # Satterthwaite
    width = np.array([student(0.975, max(int(f), 2)) for f in freedom])
    return np.asarray(width * np.sqrt(v0 + v1))


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


def wider(one: Interval, half: float) -> Interval:
    """The value with the wider of its own interval and `half` on each side."""
    if one.low is None or one.high is None or not np.isfinite(half):
        return one
    half = max((one.high - one.low) / 2, half)
    return Interval(one.value, one.value - half, one.value + half)


def pair(base: Arm, candidate: Arm) -> Pair:
    """Groups are dealt over the sessions of both, so that a request which both know is left out of both at once."""
    hashes = [base.joined["hash"], candidate.joined["hash"]]
    group = groups([base.joined["session"], candidate.joined["session"]])
    sums = tuple(
        summed(mine, side.joined.select(COLUMNS).to_numpy(), GROUPS)
        for mine, side in zip(group, (base, candidate), strict=True)
    )
    shared = len(set(hashes[0].unique()) & set(hashes[1].unique()))
    paired = shared > 0.8 * max(base.requests, candidate.requests)
    blocks = (_blocks(base.timing.blocks), _blocks(candidate.timing.blocks))
    return Pair(base, candidate, (group[0], group[1]), (sums[0], sums[1]), blocks, paired)


def _blocks(blocks: pl.DataFrame) -> Floats:
    """Sums of stretches of time in the columns of COLUMNS (others are 0), in their order."""
    table = blocks.group_by("bucket", maintain_order=True).agg(pl.col(pl.Float64).sum()).sort("bucket")
    known = [name for name in COLUMNS if name in table.columns]
    found = np.zeros((table.height, len(COLUMNS)))
    found[:, [AT[name] for name in known]] = table.select(known).to_numpy()
    return found


def column(sums: Floats, name: str) -> Floats:
    """One of COLUMNS out of sums of shape (..., F)."""
    return sums[..., AT[name]]


def names_of(arms: Sequence[Arm]) -> list[str]:
    """Columns by which both sides can be cut: attributes of requests that vary, and that do not name a session of one side."""
    shared = set(arms[0].joined.columns) & set(arms[1].joined.columns)
    both = pl.concat([arm.joined.select(sorted(shared)) for arm in arms], how="vertical_relaxed")
    known = [name for name in levels(both) if both[name].n_unique() <= 60]
    return [name for name in known if not names_session(name.removeprefix("tags."))]
