"""Shorter drafts of a drafter that decays with depth: how much a token loses by standing deeper, and what it would be at the start.

gamma of a tested token is known at the depth d where it stood, and is taken to be base * f_d with f_0 = 1. Depths are not
comparable as they are, because only what survived stands deep. But the text fixes how likely a token was to stand at depth d
(u_{t,d}, the forward recursion), so tokens weighted with 1 / u_{t,d} stand for the whole text at every depth (Horvitz and
Thompson 1952), and f is what makes the mean base the same at all depths. Nothing is said beyond the recorded depth.
"""

from dataclasses import dataclass

import numpy as np

from sdtrace.acceptance import student
from sdtrace.tuning.chain import Lanes, lanes, occupancy, starts
from sdtrace.tuning.text import Floats, Ints, Text

#: Tests at the deepest position, requests, and share of tokens with a known gamma, before anything is fitted.
TESTS, REQUESTS, KNOWN = 100, 16, 0.5
#: Rounds of the fit, rounds again without one group, groups of the jackknife.
ROUNDS, AGAIN, GROUPS = 8, 2, 8
#: Least chance of standing at a depth that is weighted in full.
RARE = 0.02
#: What one factor a depth may be wrong by, as a share of tokens per step: added to every interval.
MISFIT = 0.01


@dataclass(frozen=True)
class _Tokens:
    """Tokens of whole pieces: gamma (NaN = unknown) and depth (N), the walk over them."""

    gamma: Floats
    depth: Ints
    lane: Lanes


@dataclass(frozen=True)
class Decay:
    """`base` (N): chance that a token is drafted right at depth 0; `factors` (K) by depth; `groups`: factors without each."""

    base: Floats
    factors: Floats
    groups: list[tuple[Floats, _Tokens]]

    def ease(self, tau: int) -> Floats:
        """(N, tau): chance by depth."""
        return np.minimum(self.base[:, None] * self.factors[:tau], 1.0)

    def half(self, tau: int) -> float:
        """Half of the 95% interval of ln(tokens per step), by leaving out groups of requests."""
        rates = []
        for factors, part in self.groups:
            base = _base(part, factors)
            begun = starts(part.lane, base, tau, np.minimum(base[:, None] * factors[:tau], 1.0))
            rates.append(np.log(len(base) / begun.sum()))
        n = len(rates)
        return MISFIT + student(0.975, n - 1) * float(
            np.sqrt((n - 1) / n * np.square(np.array(rates) - np.mean(rates)).sum())
        )


def decay(text: Text, lane: Lanes, depth: int) -> Decay | None:
    """The fit over positions 0 .. depth - 1; None where too little is known for one."""
    tested = np.isfinite(text.gamma) & (text.depth == depth - 1)
    enough = int(tested.sum()) >= TESTS and text.requests >= REQUESTS
    if depth < 2 or not enough or np.isfinite(text.gamma).mean() < KNOWN:
        return None
    whole = _Tokens(text.gamma, text.depth, lane)
    factors = _fit(whole, np.ones(depth), ROUNDS)
    groups = []
    for g in range(GROUPS):
        part = _without(text, text.request % GROUPS == g)
        groups.append((_fit(part, factors, AGAIN), part))
    return Decay(_base(whole, factors), factors, groups)


def _without(text: Text, out: Ints) -> _Tokens:
    """The text without some of its pieces (P flags)."""
    size = np.diff(text.begin)
    kept = np.repeat(~out.astype(bool), size)
    begin = np.append(0, np.cumsum(size[~out.astype(bool)]))
    return _Tokens(text.gamma[kept], text.depth[kept], lanes(begin))


def _fit(tokens: _Tokens, factors: Floats, rounds: int) -> Floats:
    """Move every factor until the mean base at its depth is the one at depth 0."""
    depth = len(factors)
    known = np.isfinite(tokens.gamma)
    at = [known & (tokens.depth == j) for j in range(depth)]
    for _ in range(rounds):
        base = _base(tokens, factors)
        here = occupancy(tokens.lane, np.minimum(base[:, None] * factors, 1.0))
        mean = np.ones(depth)
        for j, mine in enumerate(at):
            weight = 1.0 / np.maximum(here[mine, j], RARE)
            mean[j] = (weight * base[mine]).sum() / weight.sum()
        factors = np.clip(factors * mean / mean[0], 0.05, 1.5)
    return np.asarray(factors, dtype=np.float64)


def _base(tokens: _Tokens, factors: Floats) -> Floats:
    """gamma brought to depth 0; tokens without one get what the tokens after such tokens have."""
    known = np.isfinite(tokens.gamma)
    place = np.minimum(tokens.depth, len(factors) - 1)
    base = np.where(known, np.minimum(tokens.gamma / factors[place], 1.0), np.nan)
    after = base[1:][~known[:-1] & known[1:]]
    fill = float(after.mean()) if len(after) else float(base[known].mean())
    return np.where(known, base, fill)
