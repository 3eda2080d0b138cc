"""What is known of the distribution that a token was drawn from, where only the top k of it are listed: sound bounds.

A listed log probability l of a row becomes a weight exp(l / T); cuts (top-k, top-p, min-p) take weights away; penalties lower
those of tokens that came before. What is not known for certain widens the bounds: the rest that is not listed, rounding, where a
cut falls, in which order engines cut (vLLM and SGLang after the temperature, llama.cpp before it), what a server fills in.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from sdtrace.schema.arrays import Flags, Floats

#: No vocabulary has more tokens.
VOCABULARY = 1 << 19
#: What an engine's own arithmetic may move a log probability by, between the row that is returned and the one that is drawn from.
NOISE = 2e-3
#: Least mass that is ever taken for the rest or for a token: one strange token is no proof.
LEAST = 1e-4
#: Below this temperature engines take the best token, or nearly so.
GREEDY = 1e-2


@dataclass(frozen=True)
class Sampling:
    """Parameters of a request; None = not known. top_k 0, top_p 1, min_p 0 = none. `penalised`: tokens that came before may weigh less.
    `top_p_of_left`: top-p is taken of what top-k left, for certain."""

    temperature: float
    top_k: int | None = 0
    top_p: float | None = 1.0
    min_p: float | None = 0.0
    temperature_last: bool | None = False
    penalised: bool = False
    top_p_of_left: bool = False

    def on(self, basis: str) -> "Sampling":
        """What is still to be applied to logprobs of that basis."""
        if basis == "processed":
            return Sampling(1.0)
        return replace(self, temperature=1.0) if basis == "scaled" else self

    @property
    def uncut(self) -> bool:
        """Nothing is cut, for certain."""
        return self.top_k == 0 and self.min_p == 0 and self.top_p is not None and self.top_p >= 1


@dataclass(frozen=True)
class Weights:
    """Upper and lower weights of the listed tokens (n, k) and of the rest (n,), relative to the first token's scale."""

    high: Floats
    low: Floats
    rest_high: Floats
    rest_low: Floats

    def most(self) -> Floats:
        """Upper bounds (n, k + 1) of the probability of each listed token, and of the rest in the last column."""
        total = self.low.sum(axis=1, keepdims=True) + self.rest_low[:, None]
        each = self.high / np.maximum(self.high + total - self.low, 1e-300)
        rest = self.rest_high / np.maximum(self.rest_high + self.low.sum(axis=1), 1e-300)
        most: Floats = np.clip(np.concatenate([each, rest[:, None]], axis=1), LEAST, 1.0)
        return most

    def of_set(self, inside: Flags) -> tuple[Floats, Floats]:
        """Bounds (low, high) of the mass of a set of listed tokens (n, k)."""
        high, low = np.where(inside, self.high, 0).sum(axis=1), np.where(inside, self.low, 0).sum(axis=1)
        others_high = np.where(inside, 0, self.high).sum(axis=1) + self.rest_high
        others_low = np.where(inside, 0, self.low).sum(axis=1) + self.rest_low
        least = low / np.maximum(low + others_high, 1e-300)
        return least, np.maximum(high / np.maximum(high + others_low, 1e-300), LEAST)

    def middle(self) -> Floats:
        """A guess (n, k + 1) between the bounds, for bets only."""
        rest = (self.rest_high + self.rest_low) / 2
        every = np.concatenate([self.high, rest[:, None]], axis=1)
        guess: Floats = every / np.maximum(every.sum(axis=1, keepdims=True), 1e-300)
        return guess


def weights(top: Floats, edge: Floats, error: Floats, sampling: Sampling, seen: Flags | None = None) -> Weights:
    """`top` (n, k): log probabilities, best first, -inf behind the last listed one; `edge` (n,): what no other token exceeds, -inf
    where there is no other; `error` (n, k): how far each may be off. `seen` (n, k): tokens that a penalty may have lowered.
    """
    first = top[:, :1]
    whole = _rest(top, edge, error)
    at = np.where(np.isfinite(top), top - first, -np.inf)
    last = edge - first[:, 0] + error[:, -1]
    rest = whole[0] * np.exp(-first[:, 0]), whole[1] * np.exp(-first[:, 0])
    high, low = np.exp((at + error) / sampling.temperature), np.exp((at - error) / sampling.temperature)
    rest_high, rest_low = _tempered(rest, last, sampling.temperature)
    if sampling.penalised:
        lowered = np.ones(top.shape, bool) if seen is None else seen
        certain = ~lowered
        if not sampling.uncut:
            certain[:, 1:] = False
        return Weights(high, np.where(certain, low, 0), rest_high, np.zeros(len(top)))
    if sampling.uncut:
        return Weights(high, low, rest_high, rest_low)
    orders = {False, True} if sampling.temperature_last is None else {sampling.temperature_last}
    certain, possible, ends = np.ones(top.shape, bool), np.zeros(top.shape, bool), np.ones(len(top), bool)
    for last_of_all in orders:
        t = 1.0 if last_of_all else sampling.temperature
        kept, may, over = _cut(at, error, last, rest, t, sampling)
        certain, possible, ends = certain & kept, possible | may, ends & over
    if sampling.top_k:
        left = np.maximum(sampling.top_k - np.isfinite(top).sum(axis=1), 0)
        rest_high = np.minimum(rest_high, np.maximum(left, 1) * np.exp(last / sampling.temperature))
    rest_high = np.where(ends, 0.0, rest_high)
    return Weights(np.where(possible, high, 0), np.where(certain, low, 0), rest_high, np.zeros(len(top)))


def _rest(top: Floats, edge: Floats, error: Floats) -> tuple[Floats, Floats]:
    """Bounds (high, low) of the mass that is not listed."""
    p = np.exp(top)
    high = np.clip(1 - (p * np.exp(-error)).sum(axis=1), 1e-6, 1)
    low = np.clip(1 - (p * np.exp(error)).sum(axis=1), 0, 1)
    whole = np.isneginf(edge)
    return np.where(whole, 1e-6, high), np.where(whole, 0.0, low)


def _tempered(rest: tuple[Floats, Floats], last: Floats, t: float) -> tuple[Floats, Floats]:
    """Bounds (high, low) of sum x^(1/T) over x that sum to the rest, each at most exp(last): x^(1/T) is convex below T = 1
    (greatest where few are as large as they can be), concave above it (greatest where all are alike)."""
    high, low = rest
    power = 1 / t
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        few = [np.where(part > 0, part * np.exp(np.minimum(last * (power - 1), 700.0)), 0.0) for part in (high, low)]
        alike = VOCABULARY ** (1 - power) * high**power
    if t == 1:
        return high, low
    return (
        (few[0], np.zeros_like(low))
        if t < 1
        else (alike, np.where(np.isfinite(few[1]), np.minimum(few[1], alike), 0.0))
    )


def _cut(
    at: Floats, error: Floats, last: Floats, rest: tuple[Floats, Floats], t: float, sampling: Sampling
) -> tuple[Flags, Flags, Flags]:
    """Which listed tokens are kept for certain, which may be (n, k), and whether nothing beyond the list is (n,)."""
    listed = np.isfinite(at)
    certain, possible, ends = listed.copy(), listed.copy(), np.zeros(len(at), bool)
    if sampling.top_k is None or sampling.top_p is None or sampling.min_p is None:
        certain[:, 1:] = False
    k = at.shape[1]
    if sampling.top_k and sampling.top_k <= k:
        edge = at[:, sampling.top_k - 1 : sampling.top_k]
        wide = 2 * error[:, sampling.top_k - 1 : sampling.top_k]
        behind = at[:, sampling.top_k : sampling.top_k + 1] if sampling.top_k < k else edge
        certain &= at > behind + wide
        certain[:, 0] |= listed[:, 0] & (sampling.top_k == 1) & (at[:, 0] > behind[:, 0])
        possible &= at >= edge - wide
        if sampling.top_k < k:
            ends |= behind[:, 0] < edge[:, 0] - wide[:, 0]
    if sampling.min_p:
        limit = math.log(sampling.min_p) * t
        certain &= at - 2 * error > limit
        possible &= at + 2 * error >= limit
        ends |= (last < limit - 2 * error[:, -1]) | (listed & ~possible).any(axis=1)
    high, low = np.exp((at + error) / t), np.exp((at - error) / t)
    rest_high, rest_low = _tempered(rest, last, t)
    if sampling.top_p is not None and sampling.top_p < 1:
        # some engines take top-p of what top-k and min-p left, some of the whole
        most = high.sum(axis=1) + rest_high
        if sampling.top_p_of_left and sampling.top_k and sampling.min_p == 0:
            left = np.maximum(sampling.top_k - listed.sum(axis=1), 1)
            most = np.where(possible, high, 0).sum(axis=1) + np.minimum(rest_high, left * np.exp(last / t))
        alone = sampling.top_k == 0 and sampling.min_p == 0
        least = np.where(certain, low, 0).sum(axis=1) + (rest_low if alone else 0)
        before_high = (np.cumsum(high, axis=1) - high) / np.maximum(least, 1e-300)[:, None]
        before_low = (np.cumsum(low, axis=1) - low) / most[:, None]
        certain &= before_high < sampling.top_p - 1e-5
        may = before_low <= sampling.top_p + 1e-5
        may[:, 0] = True
        ends |= (possible & ~may).any(axis=1) | (np.where(possible, low, 0).sum(axis=1) / most > sampling.top_p + 1e-5)
        possible &= may
    certain[:, 0] = listed[:, 0] if not sampling.top_k or sampling.top_k > 1 else certain[:, 0]
    return certain & possible, possible, ends
