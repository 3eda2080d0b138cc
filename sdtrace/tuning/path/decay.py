"""Shorter drafts of a drafter that decays with depth: how much a token loses by standing deeper, and what it would be at the start.

gamma of a tested token is known at the depth d where it stood, and is taken to be base * f_d with f_0 = 1. Depths are not
comparable as they are, because only what survived stands deep. But the text fixes how likely a token was to stand at depth d
(u_{t,d}, the forward recursion), so tokens weighted with 1 / u_{t,d} stand for the whole text at every depth (Horvitz and
Thompson 1952), and f is what makes the mean base the same at all depths. Nothing is said beyond the recorded depth.
"""

from dataclasses import dataclass

import numpy as np

from sdtrace.schema.arrays import Floats, Ints
from sdtrace.stats.ratio import student
from sdtrace.tuning.path.step_replay import Lanes, lanes, walked_occupancy, walked_starts
from sdtrace.tuning.path.token_path import Text

#: Tests at the deepest position, requests, and share of tokens with a known gamma, before anything is fitted.
TESTS, REQUESTS, KNOWN = 100, 16, 0.5
#: Rounds of the fit, rounds again without one group, groups of the jackknife.
ROUNDS, AGAIN, GROUPS = 8, 2, 8
#: A round that moves no factor by more than this is the last.
STILL = 1e-6
#: Least chance of standing at a depth that is weighted in full.
RARE = 0.02
#: What one factor a depth may be wrong by, as a share of tokens per step: added to every interval.
MISFIT = 0.01


@dataclass(frozen=True)
class _Tokens:
    """Tokens of whole pieces, in the order of the walk: gamma (NaN = unknown), depth and which copy of the text they belong
    to (N). `after`: those that have a gamma and follow one that has none.

    Copies walk side by side: a walk costs what its longest piece costs, whatever stands beside it.
    """

    gamma: Floats
    depth: Ints
    copy: Ints
    copies: int
    lane: Lanes
    after: Ints


def _tokens(gamma: Floats, depth: Ints, copy: Ints, copies: int, lane: Lanes) -> _Tokens:
    """From tokens in the order of the text."""
    known = np.isfinite(gamma)
    after = np.append(False, ~known[:-1] & known[1:] & (copy[1:] == copy[:-1]))
    order = lane.order
    return _Tokens(gamma[order], depth[order], copy[order], copies, lane, np.flatnonzero(after[order]))


@dataclass(frozen=True)
class Decay:
    """`base` (N): chance that a token is drafted right at depth 0; `factors` (K) by depth.

    `without`: the text GROUPS times, each time without one group of requests, and `others` (GROUPS, K) their factors.
    """

    base: Floats
    factors: Floats
    without: _Tokens
    others: Floats

    def ease(self, tau: int) -> Floats:
        """(N, tau): chance by depth."""
        return np.minimum(self.base[:, None] * self.factors[:tau], 1.0)

    def half(self, tau: int) -> float:
        """Half of the 95% interval of ln(tokens per step), by leaving out groups of requests."""
        part = self.without
        base = _base(part, self.others)
        begun = walked_starts(part.lane, _ease(part, base, self.others[:, :tau]), tau)
        tokens = np.bincount(part.copy, minlength=part.copies)
        rates = np.log(tokens / np.bincount(part.copy, weights=begun, minlength=part.copies))
        n = len(rates)
        return MISFIT + student(0.975, n - 1) * float(np.sqrt((n - 1) / n * np.square(rates - np.mean(rates)).sum()))


def decay(text: Text, lane: Lanes, depth: int) -> Decay | None:
    """The fit over positions 0 .. depth - 1; None where too little is known for one."""
    tested = np.isfinite(text.gamma) & (text.depth == depth - 1)
    enough = int(tested.sum()) >= TESTS and text.requests >= REQUESTS
    if depth < 2 or not enough or np.isfinite(text.gamma).mean() < KNOWN:
        return None
    whole = _tokens(text.gamma, text.depth, np.zeros(len(text.gamma), np.int64), 1, lane)
    factors = _fit(whole, np.ones((1, depth)), ROUNDS)
    base = np.empty(len(text.gamma))
    base[lane.order] = _base(whole, factors)
    without = _without(text)
    return Decay(base, factors[0], without, _fit(without, np.repeat(factors, GROUPS, axis=0), AGAIN))


def _without(text: Text) -> _Tokens:
    """The text GROUPS times, each time without the pieces of one group of requests."""
    size = np.diff(text.begin)
    group = text.session[text.request] % GROUPS
    kept = [np.flatnonzero(group != g) for g in range(GROUPS)]
    piece = np.concatenate(kept)
    begin = np.append(0, np.cumsum(size[piece]))
    token = np.arange(begin[-1]) + np.repeat(text.begin[piece] - begin[:-1], size[piece])
    copy = np.repeat(np.arange(GROUPS), [int(size[mine].sum()) for mine in kept])
    return _tokens(text.gamma[token], text.depth[token], copy, GROUPS, lanes(begin))


def _fit(tokens: _Tokens, factors: Floats, rounds: int) -> Floats:
    """Move every factor (copies, K) until the mean base at its depth is the one at depth 0."""
    shape = factors.shape
    known = np.flatnonzero(np.isfinite(tokens.gamma) & (tokens.depth < shape[1]))
    depth = tokens.depth[known]
    cell = tokens.copy[known] * shape[1] + depth

    def by_depth(weight: Floats) -> Floats:
        return np.bincount(cell, weights=weight, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)

    for _ in range(rounds):
        base = _base(tokens, factors)
        here = walked_occupancy(tokens.lane, _ease(tokens, base, factors))
        weight = 1.0 / np.maximum(here[depth, known], RARE)
        mean = by_depth(weight * base[known]) / by_depth(weight)
        moved = mean / mean[:, :1]
        factors = np.clip(factors * moved, 0.05, 1.5)
        if np.abs(moved - 1.0).max() < STILL:  # every round brings it some thirty times closer
            break
    return np.asarray(factors, dtype=np.float64)


def _ease(tokens: _Tokens, base: Floats, factors: Floats) -> Floats:
    """(K, N): the chance of every token by depth."""
    return np.minimum(base * factors.T.take(tokens.copy, axis=1), 1.0)


def _base(tokens: _Tokens, factors: Floats) -> Floats:
    """gamma brought to depth 0; tokens without one get what the tokens after such tokens of their copy have."""
    known, copy = np.isfinite(tokens.gamma), tokens.copy
    place = np.minimum(tokens.depth, factors.shape[1] - 1)
    base = np.where(known, np.minimum(tokens.gamma / factors[copy, place], 1.0), np.nan)
    return np.where(known, base, _means(base, copy, [tokens.after, np.flatnonzero(known)], tokens.copies)[copy])


def _means(values: Floats, copy: Ints, choices: list[Ints], copies: int) -> Floats:
    """The mean of every copy over the first choice of tokens that has any of it."""
    mean = np.full(copies, np.nan)
    for chosen in choices:
        n = np.bincount(copy[chosen], minlength=copies)
        total = np.bincount(copy[chosen], weights=values[chosen], minlength=copies)
        mean = np.where(np.isnan(mean) & (n > 0), total / np.maximum(n, 1), mean)
    return mean
