"""What stands for a token that was never tested: from drafts that went on there, or from the tokens around it."""

import math
from dataclasses import dataclass

import numpy as np

from sdtrace.schema.arrays import Flags, Floats, Ints
from sdtrace.stats.ratio import by_cluster, ratio
from sdtrace.tuning.path import survival as km
from sdtrace.tuning.path.token_path import Text


@dataclass(frozen=True)
class Fill:
    """What stands for an untested token: the best guess and two ends; `explored`: longer drafts have shown it."""

    ends: dict[str, float]
    explored: bool


def untested(text: Text, current: int, missing: Flags, informative: bool, tau: int) -> Fill:
    """The chance that an untested token would have been drafted right.

    Most stand right after a fully accepted draft. Steps that were allowed to go on there (explored, by a length decided
    before) tell that chance; otherwise the token after the untested one lends its own. The ends are 0 and 1 for longer drafts,
    which rest on it; for shorter ones (`tau` up to `current`) what tokens have in other places of a draft.
    """
    if not missing.any():
        return Fill({"point": 0.5, "low": 0.5, "high": 0.5}, explored=False)
    went_on = (text.verified > current) & (text.n_a >= current)
    n = int(went_on.sum())
    if n >= km.ENOUGH and not informative:
        passed = (text.n_a > current)[went_on].astype(np.float64)
        who = text.request_of_step[went_on]
        value, half = per_step(text, by_request(who, passed, text.requests), by_request(who, np.ones(n), text.requests))
        if value is not None and half is not None:
            return Fill({"point": value, "low": max(value - half, 0.0), "high": min(value + half, 1.0)}, explored=True)
    after = text.mark[1:][missing[:-1] & (text.mark[1:] >= 0)] if text.tokens > 1 else text.mark[:0]
    known = after if len(after) >= km.ENOUGH else text.mark[text.mark >= 0]
    guess = float(known.mean()) if len(known) else 0.5
    if tau > current or informative:
        return Fill({"point": guess, "low": 0.0, "high": 1.0}, explored=False)
    tested = text.mark >= 0
    deep = text.mark[tested & (text.depth >= current - 1)]
    others = [guess, *(float(part.mean()) for part in (text.mark[tested], deep) if len(part) >= km.ENOUGH)]
    least, most = min(others), max(others)
    off = 1.96 * math.sqrt(max(guess * (1 - guess), 0.01) / max(len(known), 1))
    return Fill({"point": guess, "low": max(least - off, 0.0), "high": min(most + off, 1.0)}, explored=False)


def by_request(who: Ints, weight: Floats, requests: int) -> Floats:
    return np.bincount(who, weight, requests).astype(np.float64)


def per_step(text: Text, above: Floats, below: Floats) -> tuple[float | None, float | None]:
    """`ratio` of sums over requests (R), those of one session as one."""
    return ratio(by_cluster(above, text.session), by_cluster(below, text.session))
