"""Tokens per step so near 1.00 that no drafter is cheap enough: drafting and the longer verification cost more than that."""

from dataclasses import dataclass
from math import sqrt

from sdtrace.counters.series import Tally
from sdtrace.diagnosis.by_series.spread import ratio

#: Accepted tokens a step that do not pay: a head drafts for a tenth of a step, a lookup's longer verification takes some percent.
NOTHING = 0.05
#: Below it only times tell whether speculation pays.
UNSURE = 0.25
#: Steps that show whether tokens per step are near 1.00, where no better bound is at hand.
STEPS = 90


@dataclass(frozen=True)
class Gain:
    """Accepted tokens a drafting step, with bounds at 99%."""

    value: float
    low: float
    high: float


def gain(t: Tally) -> Gain | None:
    """None where steps are not counted."""
    found = ratio(t, "drafts")
    if found is None:
        return None
    half = 2.33 * sqrt(found.variance) + 4.6 / found.steps
    return Gain(found.value, max(found.value - half, 0.0), found.value + half)
