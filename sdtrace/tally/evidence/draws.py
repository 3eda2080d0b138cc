"""Uniform draws of tested positions: uniform given what was known before, and independent within a step."""

import numpy as np
import numpy.typing as npt

from sdtrace.schema.arrays import Flags, Floats, Ints
from sdtrace.tally.evidence.sums import Sums
from sdtrace.verify.scope import Scope


def draws(scope: Scope, at: Ints, later: Flags, sums: Sums) -> None:
    """Rows SD221 and SD221:2 to SD221:4 (Legendre polynomials of r: Neyman's smooth test), SD222 (neighbours).

    `at`: verified positions that drew, whole steps of them; `later`: not the first of its step. Moments do not care for
    the rounding of r, as bins would.
    """
    if not scope.law.draws or scope.absent("uniforms") or scope.run.mute_draws:
        return
    r = scope.pos.r[at]
    valid = (r >= 0.0) & (r <= 1.0)
    if not valid.all():
        later, r = later[valid] & np.append(False, valid[:-1])[valid], r[valid]
    if not len(r):
        return
    t = 2.0 * r - 1.0
    square = t * t
    n = len(r)
    first, second, third, fourth = (float(x.sum()) for x in (t, square, square * t, square * square))
    legendre = first, (3 * second - n) / 2, (5 * third - 3 * first) / 2, (35 * fourth - 30 * second + 3 * n) / 8
    for order, value in enumerate(legendre, start=1):
        code = "SD221" if order == 1 else f"SD221:{order}"
        sums.standard(code, float(np.sqrt(2 * order + 1)) * value, float(n), n)
    behind = later[1:]
    before = t[:-1] * behind
    together, variance = float((before * t[1:]).sum()), float((before * before).sum()) / 3.0
    sums.standard("SD222", together, variance, int(np.count_nonzero(behind)))


def coupled(scope: Scope, at: Ints, accepted: Flags, chance: Floats | None, sums: Sums) -> None:
    """Rows SD225 and SD225:order (r against the place of the drafted token by id, and by q), SD225:accepted (accepted - chance
    against the place by id): the uniform that drew the token tells where it stands in the order that it was drawn by.

    A place is the rank among the slots looked at, in [-1, 1]; its mean over them is 0.
    """
    if scope.run.draft_sampling == "argmax" or scope.absent("draft_probs"):
        return
    at, accepted = at[:_RANKED], accepted[:_RANKED]
    token = scope.pos.token[at]
    if len(at) < 2 or token.min() == token.max():
        return
    by_id = places(token)
    silent = scope.absent("uniforms")
    if chance is not None:
        b = chance[:_RANKED]
        inside = np.flatnonzero((b > 0.0) & (b < 1.0))
        sums.weighed(
            "SD225" if silent else "SD225:accepted", by_id[inside], b[inside], accepted[inside], 0.0, len(inside)
        )
    if silent:
        return
    r = scope.pos.r[at]
    valid = np.flatnonzero((r >= 0.0) & (r <= 1.0))
    t = 2.0 * r[valid] - 1.0
    for code, place in (("SD225", by_id), ("SD225:order", places(scope.pos.q[at]))):
        g = place[valid]
        sums.standard(code, float((t * g).sum()), float((g * g).sum()) / 3.0, len(valid))


#: Slots of a piece that are ranked, as a power of two.
_BITS = 14
_RANKED = 1 << _BITS
#: Pieces of a batch in which slots are ranked: 49,152 slots of a batch show a correlation of 0.02 at 4.4 standard deviations, and
#: ranking those of all seven pieces of a large batch took 3% of a report's processor time on 1,000,000 steps.
RANKED_PIECES = 3


def places(values: npt.NDArray[np.generic]) -> Floats:
    """Ranks in [-1, 1], equal values alike."""
    numbers = _in_order(values)
    rank = ranks_of_any(values) if numbers is None else _ranks_of_numbers(numbers)
    return np.asarray(2.0 * rank / max(len(values) - 1, 1) - 1.0)


def ranks_of_any(values: npt.NDArray[np.generic]) -> Floats:
    """Ranks from 0, the mean one for equal values."""
    _, inverse, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count + 1) / 2)[inverse])


def _in_order(values: npt.NDArray[np.generic]) -> npt.NDArray[np.uint64] | None:
    """Numbers below 2^49 in the order of the values: ids as they stand, float32 by their bits. None for other values."""
    if not 0 < len(values) <= _RANKED or not values.min() >= 0:
        return None
    if values.dtype.kind in "iu":
        return values.astype(np.uint64) if values.max() < 1 << 49 else None
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    return (single + np.float32(0.0)).view(np.uint32).astype(np.uint64) if np.array_equal(single, values) else None


def _ranks_of_numbers(numbers: npt.NDArray[np.uint64]) -> Floats:
    """`ranks_of_any`: each number carries its place in its last bits, so that sorting them alone (which is vectorised, and four
    times as fast as sorting places by their numbers) gives both."""
    size = len(numbers)
    both = np.sort(numbers << np.uint64(_BITS) | np.arange(size, dtype=np.uint64))
    number, place = both >> np.uint64(_BITS), (both & np.uint64(_RANKED - 1)).astype(np.intp)
    begin = np.flatnonzero(np.append(True, number[1:] != number[:-1]))
    rank = np.empty(size)
    if len(begin) == size:
        rank[place] = begin
    else:
        count = np.diff(begin, append=size)
        rank[place] = np.repeat(begin + (count - 1) / 2, count)
    return rank


def of_block(scope: Scope, sums: Sums) -> None:
    """The same for block verification, which draws for every verified position."""
    at = np.arange(len(scope.pos.row))
    draws(scope, at, scope.pos.position > 0, sums)
    coupled(scope, at, scope.pos.by_count, None, sums)
