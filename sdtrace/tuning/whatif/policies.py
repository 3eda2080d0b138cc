"""Rules that set the draft length: what engines ship and what the literature proposes, one class each.

Candidates are lengths up to `most`, the longest that the trace can answer for.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from sdtrace.schema.arrays import Floats, Ints

#: Whether a rule drafts one length at every step.
PolicyKind = Literal["fixed", "adaptive"]

_NONE = np.zeros(0, dtype=np.int64)
_EMPTY = np.zeros(0)


@dataclass
class Fixed:
    """The same length for every step."""

    tau: int
    name: str = ""
    basis: str = "replay"
    kind: PolicyKind = "fixed"

    def __post_init__(self) -> None:
        self.name = self.name or f"fixed {self.tau}"

    def begin(self, requests: int) -> None:
        """Nothing to remember."""

    def choose(self, who: Ints, bucket: Ints) -> Ints:
        """Always `tau`."""
        return np.full(len(who), self.tau)

    def learn(self, who: Ints, tau: Ints, accepted: Ints, bucket: Ints) -> None:
        """Nothing to learn."""


@dataclass
class Table(Fixed):
    """A length for every batch bucket (vLLM's num_speculative_tokens_per_batch_size, SGLang's candidate steps)."""

    table: Ints = field(default_factory=lambda: _NONE)
    kind: PolicyKind = "adaptive"

    def choose(self, who: Ints, bucket: Ints) -> Ints:
        """The length of the bucket."""
        return np.asarray(self.table[bucket])


@dataclass
class Additive:
    """Up by `up` after a fully accepted draft, down by `down` otherwise: Transformers' heuristic schedule is +2, -1."""

    most: int
    up: int = 2
    down: int = 1
    name: str = "additive +2/-1 (Transformers)"
    basis: str = "replay"
    kind: PolicyKind = "adaptive"
    now: Ints = field(default_factory=lambda: _NONE)

    def begin(self, requests: int) -> None:
        """Everyone starts in the middle."""
        self.now = np.full(requests, max(1, self.most // 2))

    def choose(self, who: Ints, bucket: Ints) -> Ints:
        """The present length."""
        return np.asarray(self.now[who])

    def learn(self, who: Ints, tau: Ints, accepted: Ints, bucket: Ints) -> None:
        """Up or down."""
        moved = np.where(accepted == tau, tau + self.up, tau - self.down)
        self.now[who] = np.clip(moved, 1, self.most)


@dataclass
class Multiplicative(Additive):
    """AIMD: one more after a fully accepted draft, half as many after any rejection."""

    name: str = "AIMD +1, /2"

    def learn(self, who: Ints, tau: Ints, accepted: Ints, bucket: Ints) -> None:
        """One more, or half."""
        self.now[who] = np.clip(np.where(accepted == tau, tau + 1, tau // 2), 1, self.most)


@dataclass
class Smoothed:
    """EWMA of accepted tokens with hysteresis, after SGLang's adaptive steps: weight .2, a move every 5 steps after 10.

    Up to the next candidate when the mean comes within half a token of the present one, down when it falls below the
    candidate underneath by `slack`.
    """

    candidates: tuple[int, ...]
    slack: float = 0.25
    name: str = "EWMA with hysteresis (SGLang)"
    basis: str = "replay"
    kind: PolicyKind = "adaptive"
    mean: Floats = field(default_factory=lambda: _EMPTY)
    place: Ints = field(default_factory=lambda: _NONE)
    count: Ints = field(default_factory=lambda: _NONE)

    def begin(self, requests: int) -> None:
        """Everyone starts at the middle candidate."""
        self.place = np.full(requests, len(self.candidates) // 2)
        self.mean, self.count = np.full(requests, np.nan), np.zeros(requests, dtype=np.int64)

    def choose(self, who: Ints, bucket: Ints) -> Ints:
        """The present candidate."""
        return np.asarray(np.array(self.candidates)[self.place[who]])

    def learn(self, who: Ints, tau: Ints, accepted: Ints, bucket: Ints) -> None:
        """Smooth, and move now and then."""
        old = self.mean[who]
        mean = np.where(np.isnan(old), accepted, 0.8 * old + 0.2 * accepted)
        self.mean[who] = mean
        self.count[who] += 1
        ready = (self.count[who] > 10) & (self.count[who] % 5 == 0)
        length = np.array(self.candidates)
        place = self.place[who]
        below = length[np.maximum(place - 1, 0)]
        move = np.where(mean >= length[place] - 0.5, 1, np.where(mean < below - self.slack, -1, 0))
        self.place[who] = np.clip(place + move * ready, 0, len(length) - 1)


@dataclass
class Goodput:
    """The length of most tokens per cost, from a running acceptance of each request and the cost table (SmartSpec)."""

    cost: Floats
    prior: float
    weight: float = 10.0
    name: str = "goodput (SmartSpec)"
    basis: str = "replay"
    kind: PolicyKind = "adaptive"
    good: Floats = field(default_factory=lambda: _EMPTY)
    seen: Floats = field(default_factory=lambda: _EMPTY)

    def begin(self, requests: int) -> None:
        """Everyone starts from the acceptance of all."""
        self.good = np.full(requests, self.prior * self.weight)
        self.seen = np.full(requests, self.weight)

    def choose(self, who: Ints, bucket: Ints) -> Ints:
        """argmax of (1 - a^(k+1)) / (1 - a) / c(k, B)."""
        a = np.clip(self.good[who] / self.seen[who], 0.0, 0.999)[:, None]
        tokens = (1.0 - a ** np.arange(1, len(self.cost) + 1)) / (1.0 - a)
        return np.asarray(np.argmax(tokens / self.cost.T[bucket], axis=1))

    def learn(self, who: Ints, tau: Ints, accepted: Ints, bucket: Ints) -> None:
        """Forget slowly; a step without a draft teaches nothing."""
        drafted = tau > 0
        fade = np.where(drafted, 0.98, 1.0)
        self.good[who] = fade * self.good[who] + accepted
        self.seen[who] = fade * self.seen[who] + np.where(drafted, np.minimum(accepted + 1, tau), 0)


@dataclass
class Bandit:
    """UCB1 over fixed lengths, rewarded with tokens per cost; every request learns for itself."""

    arms: tuple[int, ...]
    cost: Floats
    name: str = "bandit (UCB1)"
    basis: str = "replay"
    kind: PolicyKind = "adaptive"
    total: Floats = field(default_factory=lambda: _EMPTY)
    pulls: Floats = field(default_factory=lambda: _EMPTY)

    def begin(self, requests: int) -> None:
        """No arm was pulled."""
        self.total, self.pulls = np.zeros((2, requests, len(self.arms)))

    def choose(self, who: Ints, bucket: Ints) -> Ints:
        """The arm of the highest upper bound; each is tried once."""
        pulls = self.pulls[who]
        n = pulls.sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            bound = self.total[who] / pulls + 0.5 * np.sqrt(np.log(np.maximum(n, 1.0)) / pulls)
        arm = np.argmax(np.where(pulls == 0, np.inf, bound), axis=1)
        return np.asarray(np.array(self.arms)[arm])

    def learn(self, who: Ints, tau: Ints, accepted: Ints, bucket: Ints) -> None:
        """Tokens per cost, scaled to the best that any length could give."""
        most = (1.0 + np.array(self.arms)[:, None]) / self.cost[list(self.arms)]
        arm = np.searchsorted(np.array(self.arms), tau)
        self.total[who, arm] += (accepted + 1.0) / self.cost[tau, bucket] / most.max(axis=0)[bucket]
        self.pulls[who, arm] += 1.0
