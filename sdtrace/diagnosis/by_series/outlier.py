"""One engine, rank, pod, replica or slot against its siblings: the same drafter, the same traffic, another acceptance."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low

from sdtrace.counters.places import ALIKE, By
from sdtrace.counters.series import Tally
from sdtrace.diagnosis.by_series.spread import Ratio, ratio, tail

#: Acceptance over the siblings' below which traffic is no explanation; a slot gets prompts like those that it had before.
FAR: dict[By, float] = {"slot": 0.4}
_FAR = 0.65
#: What is tested is "at least so much of the siblings' acceptance".
NEARLY = 0.8
#: Steps of a series below which nothing is said of it.
STEPS = 100
#: Draft lengths that differ by more than this share make other acceptance lawful.
LENGTHS = 0.25


@dataclass(frozen=True)
class Against:
    """A series against the median of its siblings; `p` is the chance of so little where it has NEARLY of theirs."""

    series: Tally
    others: int
    mine: Ratio
    theirs: Ratio
    p: float

    @property
    def far(self) -> bool:
        limit = FAR.get(self.series.by, _FAR) if self.series.by != "all" else _FAR
        return self.mine.value <= limit * self.theirs.value


def against(series: Sequence[Tally]) -> list[Against]:
    """Every comparison that can be made; whether one counts is decided over all of them."""
    found = []
    for by in ALIKE:
        mine = [t for t in series if t.by == by and t.steps >= STEPS]
        for t in mine:
            if (one := _one(t, [o for o in mine if o is not t])) is not None:
                found.append(one)
    return found


def _one(t: Tally, others: Sequence[Tally]) -> Against | None:
    below = "drafted" if all(o.total("drafted") is not None for o in (t, *others)) else "drafts"
    mine = ratio(t, below)
    known = [(o, r) for o in others if _comparable(t, o) and (r := ratio(o, below)) is not None]
    if mine is None or not known:
        return None
    middle = median_low([r.value for _, r in known])
    theirs = next(r for _, r in known if r.value == middle)
    variance = mine.variance + NEARLY**2 * theirs.variance
    p = tail(mine.value - NEARLY * theirs.value, variance, min(mine.freedom, theirs.freedom))
    return Against(t, len(known), mine, theirs, p)


def _comparable(one: Tally, other: Tally) -> bool:
    """Whether both draft alike: another model, configuration or draft length gives another acceptance."""
    if one.kin != other.kin:
        return False
    a, b = (_drafted_a_step(t) for t in (one, other))
    return a is None or b is None or abs(a - b) <= LENGTHS * max(a, b)


def _drafted_a_step(t: Tally) -> float | None:
    drafted, drafts = t.total("drafted"), t.total("drafts")
    return drafted / drafts if drafted is not None and drafts else None
