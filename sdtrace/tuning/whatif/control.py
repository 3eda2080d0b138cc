"""A policy walked over the recorded text: it chooses a draft length, sees how many tokens were accepted, chooses again.

One controller a request, as the requests of a trace were not served together in the order in which they are walked. What
a policy is told is what an engine would know: the batch size and its own past, nothing of the draft at hand.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sdtrace.schema.arrays import Flags, Floats, Ints
from sdtrace.tuning.path.step_replay import runs
from sdtrace.tuning.path.token_path import Text
from sdtrace.tuning.whatif.policies import PolicyKind


class Policy(Protocol):
    """A rule that sets the draft length of every step. Arrays have an entry a request that is still running."""

    name: str
    basis: str
    kind: PolicyKind

    def begin(self, requests: int) -> None:
        """A new state for this many requests."""

    def choose(self, who: Ints, bucket: Ints) -> Ints:
        """The draft length of the next step of each request, by its batch bucket."""

    def learn(self, who: Ints, tau: Ints, accepted: Ints, bucket: Ints) -> None:
        """What came of it."""


@dataclass(frozen=True)
class Walk:
    """Steps in the order in which they were taken: request, draft length, tokens accepted and appended, batch bucket."""

    request: Ints
    tau: Ints
    accepted: Ints
    appended: Ints
    bucket: Ints


def walk(policy: Policy, text: Text, right: Flags, bucket: Ints) -> Walk:
    """`right` (N) says which tokens the drafter has right, `bucket` (N) the batch bucket they were emitted in."""
    run = runs(right, text.begin)
    at, end = text.begin[:-1].copy(), text.begin[1:]
    policy.begin(len(at))
    alive = np.flatnonzero(at < end)
    found: list[tuple[Ints, ...]] = []
    while len(alive):
        here = at[alive]
        size = bucket[here]
        tau = policy.choose(alive, size)
        accepted = np.minimum(run[here], tau)
        policy.learn(alive, tau, accepted, size)
        appended = np.minimum(accepted + 1, end[alive] - here)
        found.append((alive, tau, accepted, appended, size))
        at[alive] = here + appended
        alive = alive[at[alive] < end[alive]]
    piece, *rest = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Walk(text.request[piece], *rest)


def drafted_right(text: Text, guess: float, seed: int = 0) -> Flags:
    """Recorded decisions; one coin for every token that was not tested, by gamma where it is known."""
    chance = np.where(text.mark >= 0, text.mark, np.where(np.isnan(text.gamma), guess, text.gamma))
    return np.asarray(np.random.default_rng(seed).random(text.tokens) < chance)


def spent(walked: Walk, cost: Floats) -> Floats:
    """Cost of every step of a walk, from costs (K, G) by draft length and batch bucket."""
    return np.asarray(cost[walked.tau, walked.bucket], dtype=np.float64)
