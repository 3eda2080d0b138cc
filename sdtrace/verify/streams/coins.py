"""SGLang's seeded coins of verification: whether any sequence of its steps could have written a text.

SGLang 0.5.23 (`_seeded_verify_coins` of srt/speculative/eagle_utils.py, speculative/sampling.cuh): coins of a step are murmur3 of (seed,
tokens before its root, column) over 2^32 - 1, in float32. Drafts are a chain: draft j is kept where coin j < p. The token behind the kept
ones is where the last coin falls in the running sum of p, in the order of ids, without the draft that was rejected. Where a step began
is not told: every beginning is tried.
"""

import numpy as np

from sdtrace.schema.arrays import Flags, Floats, Ints
from sdtrace.verify.streams import murmur
from sdtrace.verify.streams.laws import Explained, Known

#: Drafted tokens of a step that are tried: --speculative-num-draft-tokens is one more.
DRAFTED = range(1, 9)


def coins(seed: int, before: Ints, column: Ints) -> Floats:
    """Uniforms of [0, 1): `before` is how many tokens stand before the root of the step, the last token that was emitted."""
    drawn = (murmur.words(seed, before, column).astype(np.float64) / (2.0**32 - 1)).astype(np.float32)
    return np.minimum(drawn, np.float32(1 - 2.0**-24)).astype(np.float64)


def by_coins(known: Known, seed: int, position: Ints, band: float, drafted: int) -> Explained:
    """`position` (n,): of each token in the sequence. `drafted`: tokens of a step's chain. The first token is the prefill's, drawn by
    itself; where no sequence of steps explains a token it is contradicted, and any step may have begun before the next one.

    `plain`: the token is one that some sequence of steps could write behind what stands before it, or is not listed; `chance` of that."""
    n, k = known.ids.shape
    listed, place = known.place < k, np.minimum(known.place, k - 1)
    kept, ended = _tables(known, seed, position, band, drafted)
    rest = np.clip(1 - known.low.sum(axis=1), 0, 1)
    answer, plain, chance = np.zeros(n, np.int8), np.ones(n, bool), np.ones(n)
    running = np.arange(drafted + 1) == 0  # how many drafts a step may have kept before this token
    for t in range(1, n):
        may_keep, may_end = kept[t] & running[:, None], ended[t] & running[:, None]
        lawful = (may_keep | may_end).any(axis=0)
        chance[t] = min(float((known.high[t] * lawful).sum() + rest[t]), 1.0)
        plain[t] = not listed[t] or lawful[place[t]]
        if listed[t] and plain[t]:
            answer[t] = 1
            running = np.concatenate([[may_end[:, place[t]].any()], may_keep[:-1, place[t]]])
            continue
        answer[t] = -1 if listed[t] else 0
        running = np.arange(drafted + 1) <= t
    return Explained(answer, plain, chance)


def _tables(known: Known, seed: int, position: Ints, band: float, drafted: int) -> tuple[Flags, Flags]:
    """(n, drafted + 1, k): whether a listed token may be kept as draft j of a step, or end a step that kept j."""
    n, k = known.ids.shape
    wide = float(np.expm1(band))
    kept, ended = np.zeros((n, drafted + 1, k), bool), np.zeros((n, drafted + 1, k), bool)
    order = np.argsort(np.where(known.ids >= 0, known.ids, np.iinfo(np.int64).max), axis=1)
    low, high = (np.take_along_axis(v, order, axis=1) for v in (known.low, known.high))
    rest = np.clip(1 - known.low.sum(axis=1), 0, 1)[:, None]
    begin, end = np.cumsum(low, axis=1) - low, np.cumsum(high, axis=1) + rest
    back = np.argsort(order, axis=1)
    for j in range(drafted + 1):
        before = position - 1 - j  # of the root of a step whose token j this is
        coin, final = (coins(seed, before, np.full(n, c)) for c in (j, drafted + 1))
        u = final[:, None]
        if j == drafted:  # all were kept: the token behind them is drawn from p
            found = (u >= begin - wide) & (u < end + wide)
        else:
            kept[:, j] = coin[:, None] < known.high * (1 + wide)
            found = _without_one(u, coin[:, None], low, high, begin, end, rest, wide)
        ended[:, j] = np.take_along_axis(found, back, axis=1)
    return kept, ended


def _without_one(
    u: Floats, coin: Floats, low: Floats, high: Floats, begin: Floats, end: Floats, rest: Floats, wide: float
) -> Flags:
    """(n, k), in the order of ids: whether the coin falls on a token where some other one was drafted and rejected."""
    # one that is not listed was rejected: its share may be as much as the rest
    found = (u >= begin - wide) & (u * (1 - rest) < end + wide)
    k = low.shape[1]
    for x in range(k):
        rejected = coin >= low[:, x : x + 1] * (1 - wide)
        behind = np.arange(k) > x
        a = begin - np.where(behind, high[:, x : x + 1], 0)
        b = end - np.where(behind, low[:, x : x + 1], 0)
        hit = (u * (1 - low[:, x : x + 1]) >= a - wide) & (u * (1 - high[:, x : x + 1]) < b + wide)
        found |= rejected & hit & (np.arange(k) != x)
    return found
