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


@dataclass(frozen=True)
class _Sibling:
    """What is asked of a series again and again, once."""

    tally: Tally
    ratio: Ratio
    length: float | None  #: drafted tokens a step


def against(series: Sequence[Tally]) -> list[Against]:
    """Every comparison that can be made; whether one counts is decided over all of them."""
    found = []
    for by in ALIKE:
        mine = [t for t in series if t.by == by and t.steps >= STEPS]
        below = "drafted" if all(t.total("drafted") is not None for t in mine) else "drafts"
        known = [_Sibling(t, r, _drafted_a_step(t)) for t in mine if (r := ratio(t, below)) is not None]
        found += [one for s in known if (one := _one(s, known)) is not None]
    return found


def _one(mine: _Sibling, known: Sequence[_Sibling]) -> Against | None:
    others = [o.ratio for o in known if o is not mine and _comparable(mine, o)]
    if not others:
        return None
    middle = median_low([r.value for r in others])
    theirs = next(r for r in others if r.value == middle)
    variance = mine.ratio.variance + NEARLY**2 * theirs.variance
    p = tail(mine.ratio.value - NEARLY * theirs.value, variance, min(mine.ratio.freedom, theirs.freedom))
    return Against(mine.tally, len(others), mine.ratio, theirs, p)


def _comparable(one: _Sibling, other: _Sibling) -> bool:
    """Whether both draft alike: another model, configuration or draft length gives another acceptance."""
    if one.tally.kin != other.tally.kin:
        return False
    a, b = one.length, other.length
    return a is None or b is None or abs(a - b) <= LENGTHS * max(a, b)


def _drafted_a_step(t: Tally) -> float | None:
    drafted, drafts = t.total("drafted"), t.total("drafts")
    return drafted / drafts if drafted is not None and drafts else None
