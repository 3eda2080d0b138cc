"""How likely recorded log probabilities are under a way, and which way is named."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sdtrace.replay.conversation import Conversation
from sdtrace.replay.engine.ways import WIDE, Seen, Way, distance
from sdtrace.replay.likelihood import BULK, OVER_HEALTHY, OVER_RIVAL, early, likelihood

#: Bounds of a log probability this close, in nats, tell a way by themselves.
NARROW = 0.1
#: Recorded probabilities that a way has to speak of, at least; those before and from its first place on, where it has one.
_ENOUGH, _EACH = 20, 3
#: Share of those before that may be strays; log odds over the sound engine: that p is wrong is known, and where it begins is the question.
_STRAYS, _BEGINS = 0.05, 4.6
#: A log probability nearer to 0 is that of any model.
_CERTAIN = -0.02
#: Requests whose first token is off, at least, and the share of them, before weights or prompt are another's.
_REQUESTS, _MOST = 2, 0.5

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
    if way.begin is not None:
        return _begun(way, ones, healthy, its, band, conversations)
    both = [
        (distance(one.log_p, h), h[1] - h[0], distance(one.log_p, w), w[1] - w[0])
        for one, h, w in zip(ones, healthy, its, strict=True)
        if h is not None and w is not None and max(h[1] - h[0], w[1] - w[0]) <= WIDE
    ]
    narrow = np.array([width <= NARROW for *_, width in both])
    if narrow.sum() < _ENOUGH:
        return None
    sound, told, mine, width = (np.array(values) for values in zip(*both, strict=True))
    odds = likelihood(mine, band / 4, width) - likelihood(sound, band / 4, told)
    # what a way tells less narrowly counts where the sound engine rules the record out; what it tells narrowly has to be right by itself
    right, speaks = np.abs(mine) <= band, narrow | (np.abs(sound) > band)
    return Tried(way, odds, float(min(right[narrow].mean(), right[speaks].mean())), int(speaks.sum()))


def _begun(
    way: Way,
    ones: Sequence[Seen],
    healthy: Sequence[Bounds],
    its: Sequence[Bounds],
    band: float,
    conversations: Sequence[Conversation],
) -> Tried | None:
    """p is right before a place, within bounds, and from it on as near to this way as the records are."""
    assert way.begin is not None
    before, after = list[tuple[float, float]](), list[tuple[float, float, float, float]]()
    for one, h, w in zip(ones, healthy, its, strict=True):
        if h is None or h[1] - h[0] > WIDE or h[1] > _CERTAIN:
            continue
        sound = distance(one.log_p, h)
        if (one.step, one.position) < way.begin(conversations[one.of]):
            before.append((sound, h[1] - h[0]))
        elif w is not None and max(h[1] - h[0], w[1] - w[0]) <= NARROW:
            after.append((sound, h[1] - h[0], distance(one.log_p, w), w[1] - w[0]))
    if min(len(before), len(after)) < _EACH or len(before) + len(after) < _ENOUGH:
        return None
    early_d, known = (np.array(values) for values in zip(*before, strict=True))
    late, told, mine, width = (np.array(values) for values in zip(*after, strict=True))
    strays = float((np.abs(early_d) > band).mean())
    if strays > _STRAYS:
        return None
    every = likelihood(np.concatenate([early_d, late]), band / 4, np.concatenate([known, told]))
    odds = early(early_d, np.maximum(known / 2, band / 4)) + likelihood(mine, band / 4, width) - every
    return Tried(way, odds, 1 - strays, len(before) + len(after))


def other_weights(ones: Sequence[Seen], healthy: Sequence[Bounds], band: float) -> Tried | None:
    """Other weights, or another prompt, where no known way explains p and it is off at the first token too: only the prompt stands before
    it, no cache, position or earlier step can have made it wrong. A row of another place can: where the engine lists too few of its
    tokens, that way was not tried."""
    first: dict[int, bool] = {}
    for one, h in zip(ones, healthy, strict=True):
        if h is not None and (one.step, one.position) == (0, 0) and h[1] - h[0] <= WIDE and h[1] <= _CERTAIN:
            first[one.of] = first.get(one.of, False) or abs(distance(one.log_p, h)) > band
    off = sum(first.values())
    if off < _REQUESTS or off < _MOST * len(first):
        return None
    return Tried(Way("other-weights", "verifier-differs"), 0.0, off / len(first), len(first))


def named(tried: Sequence[Tried]) -> tuple[Tried | None, list[Tried]]:
    """The way that explains the records, and those of another cause that explain them as well."""
    explain = [
        one
        for one in tried
        if one.within >= BULK and one.log_odds >= (OVER_HEALTHY if one.way.begin is None else _BEGINS)
    ]
    top = max(explain, key=lambda one: one.log_odds, default=None)
    if top is None:
        return None, []
    rivals = [one for one in explain if one.log_odds > top.log_odds - OVER_RIVAL and one.way.cause != top.way.cause]
    return top, rivals
