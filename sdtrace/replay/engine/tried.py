"""How likely recorded log probabilities are under a way, and which way is named."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sdtrace.replay.conversation import Conversation
from sdtrace.replay.engine.ways import WIDE, Seen, Way, distance
from sdtrace.replay.likelihood import BULK, OVER_HEALTHY, OVER_RIVAL, early, likelihood
from sdtrace.schema.arrays import Floats

#: Bounds of a log probability this close, in nats, tell a way.
NARROW = 0.1
#: Recorded probabilities that a way has to speak of, at least; those before and from its first place on, where it has one.
_ENOUGH, _EACH = 20, 4
#: Share of those before that may be strays; log odds over the sound engine: that p is wrong is known, and where it begins is the question.
_STRAYS, _BEGINS = 0.05, 8.0

Bounds = tuple[float, float] | None


@dataclass(frozen=True)
class Tried:
    """How much likelier records are under a way, the share of them inside the band, of how many it speaks."""

    way: Way
    log_odds: float
    within: float
    positions: int


def tried(
    way: Way,
    ones: Sequence[Seen],
    healthy: Sequence[Bounds],
    its: Sequence[Bounds],
    band: float,
    conversations: Sequence[Conversation],
) -> Tried | None:
    """A way against the sound engine, on the records of which it, and the sound engine, say enough."""
    both = [
        (distance(one.log_p, h), distance(one.log_p, w), (h[1] - h[0]) / 2, _before(way, one, conversations))
        for one, h, w in zip(ones, healthy, its, strict=True)
        if h is not None and w is not None and w[1] - w[0] <= NARROW and h[1] - h[0] <= WIDE
    ]
    if len(both) < _ENOUGH:
        return None
    sound, mine, half, before = (np.array(values) for values in zip(*both, strict=True))
    if way.begin is None:
        odds = likelihood(mine, band / 4) - likelihood(sound, band / 4)
        return Tried(way, odds, float((np.abs(mine) <= band).mean()), len(both))
    return _begun(way, sound, mine, half, before.astype(bool), band)


def _before(way: Way, one: Seen, conversations: Sequence[Conversation]) -> bool:
    return way.begin is not None and (one.step, one.position) < way.begin(conversations[one.of])


def _begun(way: Way, sound: Floats, mine: Floats, half: Floats, before: np.ndarray, band: float) -> Tried | None:
    """p is right before a place, within bounds, and from it on as near to this way as the records are."""
    if min(before.sum(), (~before).sum()) < _EACH:
        return None
    strays = float((np.abs(sound[before]) > band).mean())
    if strays > _STRAYS:
        return None
    right = early(sound[before], np.maximum(half[before], band / 4))
    odds = right + likelihood(mine[~before], band / 4) - likelihood(sound, band / 4)
    return Tried(way, odds, 1 - strays, len(sound))


def named(found: Sequence[Tried]) -> tuple[Tried | None, list[Tried]]:
    """The way that explains the records, and those of another cause that explain them as well."""
    explain = [
        one
        for one in found
        if one.within >= BULK and one.log_odds >= (OVER_HEALTHY if one.way.begin is None else _BEGINS)
    ]
    top = max(explain, key=lambda one: one.log_odds, default=None)
    if top is None:
        return None, []
    rivals = [one for one in explain if one.log_odds > top.log_odds - OVER_RIVAL and one.way.cause != top.way.cause]
    return top, rivals
