"""Steps that a text needs at another tau: the forward recursion over the depth at which each token is drafted.

With g_t the chance that the draft of token t is right, a step that begins at t ends after n right drafts with
probability prod_{i<n} g_{t+i} (1 - g_{t+n}), or after tau of them. Followed by depth: u_{t+1,j+1} = u_{t,j} g_t, and what
is left begins a step at t+1. With g in {0, 1} this is the replay of the recorded decisions, with g = gamma the expectation
over new drafts, with both the replay in which untested tokens are drawn. Tokens per step = N / sum of u_{t,0}.
"""

from dataclasses import dataclass

import numpy as np

from sdtrace.schema.arrays import Flags, Floats, Ints


@dataclass(frozen=True)
class Lanes:
    """Tokens in the order of the walk: the t-th tokens of all pieces stand together, longest piece first."""

    order: Ints  #: N: which token stands at each place of the walk
    ends: Ints  #: T+1 offsets: where the t-th tokens begin


def lanes(begin: Ints) -> Lanes:
    """The walk over pieces that begin at these offsets (P+1)."""
    size = np.diff(begin)
    rank = np.argsort(-size, kind="stable")
    start, size = begin[:-1][rank], size[rank]
    longest = int(size[0]) if len(size) else 0
    alive = len(size) - np.searchsorted(size[::-1], np.arange(longest), side="right")
    ends = np.append(0, np.cumsum(alive))
    place = np.repeat(np.arange(longest), alive)
    lane = np.arange(int(ends[-1])) - np.repeat(ends[:-1], alive)
    return Lanes(start[lane] + place, ends)


def starts(lane: Lanes, chance: Floats, tau: int, ease: Floats | None = None) -> Floats:
    """For every token (N) the probability that a step begins there, drafting `tau` tokens a step.

    `chance` (N) is g. `ease` (N, tau), where given, replaces it by depth: g of token t when drafted at depth j.
    """
    if tau <= 0 or not len(lane.order):
        return np.ones(len(lane.order))
    g = chance[lane.order] if ease is None else np.ascontiguousarray(ease[lane.order].T)
    found = np.empty(len(lane.order))
    found[lane.order] = walked_starts(lane, g, tau)
    return found


def walked_starts(lane: Lanes, g: Floats, tau: int) -> Floats:
    """`starts` in the order of the walk, of `g` in the order of the walk: (N), or (tau, N) by depth; tau > 0."""
    begun = np.ones(len(lane.order))
    now, after = np.zeros((2, tau + 1, int(lane.ends[1])))
    now[0] = 1.0
    for t in range(len(lane.ends) - 2):
        a, b, c = lane.ends[t], lane.ends[t + 1], lane.ends[t + 2]
        m = c - b
        np.multiply(now[:tau, :m], g[..., a : a + m], out=after[1:, :m])
        np.subtract(1.0, after[1:, :m].sum(axis=0), out=after[0, :m])
        begun[b:c] = after[0, :m]
        now, after = after, now
    return np.clip(begun, 0.0, 1.0)


def walked_occupancy(lane: Lanes, g: Floats) -> Floats:
    """(tau, N) from `g` (tau, N), both in the order of the walk: the probability that each token stands at each depth of a
    draft of tau tokens."""
    tau = len(g)
    found = np.empty_like(g)
    now, after = np.zeros((2, tau + 1, int(lane.ends[1])))
    now[0] = 1.0
    for t in range(len(lane.ends) - 1):
        a, b = lane.ends[t], lane.ends[t + 1]
        m = b - a
        found[:, a:b] = now[:tau, :m]
        np.multiply(found[:, a:b], g[:, a:b], out=after[1:, :m])
        np.subtract(1.0, after[1:, :m].sum(axis=0), out=after[0, :m])
        now, after = after, now
    return found


def walk(right: Flags, begin: Ints, tau: int | Ints) -> tuple[Ints, Ints]:
    """The steps of a replay when every token is known to be drafted right or wrong.

    `tau` is fixed, or has an entry a token (N): what a step that begins there drafts.

    Returns the first token of every step and how many drafts it accepted, in order of the text.
    """
    run = runs(right, begin)
    piece = np.repeat(np.arange(len(begin) - 1), np.diff(begin))
    at, found, taken = begin[:-1].copy(), [], []
    end = begin[1:]
    alive = np.flatnonzero(at < end)
    while len(alive):
        here = at[alive]
        n = np.minimum(run[here], tau if isinstance(tau, int) else tau[here])
        found.append(here)
        taken.append(n)
        at[alive] = here + n + 1
        alive = alive[at[alive] < end[alive]]
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    first, n_a = np.concatenate(found), np.concatenate(taken)
    order = np.argsort(first, kind="stable")
    first, n_a = first[order], n_a[order]
    return first, np.minimum(n_a, end[piece[first]] - first)


def runs(right: Flags, begin: Ints) -> Ints:
    """For every token the number of tokens drafted right from it on, within its piece."""
    n = len(right)
    stop = ~right
    edge = np.zeros(n + 1, dtype=bool)
    edge[begin] = True
    place = np.where(stop, np.arange(n), n)
    ahead = np.minimum.accumulate(place[::-1])[::-1] if n else place
    end = np.repeat(begin[1:], np.diff(begin))
    return np.asarray(np.minimum(ahead, end) - np.arange(n), dtype=np.int64)
