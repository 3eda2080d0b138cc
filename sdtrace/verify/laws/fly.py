"""FLy (vLLM 0.33, rejection_sample_method "fly"; vllm/v1/spec_decode/fly.py): a rejection may be deferred. Not lossless.

A drafted token that the ratio law (at temperature 0: the argmax) rejects is kept all the same where p(x) > 0, the entropy of the
target's top tokens reaches a threshold, and that law accepts each of the W drafted tokens behind it. A window that does not fit
into the step, or in which one token is rejected, ends the block at the first rejection.

What is proof: a block that ends at a token that the law accepts; a kept token of p(x) = 0, under a closed gate, or without a
whole accepted window behind it. Behind a rejection lists are not read, so a rejection that might have been deferred is open.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sdtrace.schema.arrays import Flags, Floats
from sdtrace.verify.band import AGREE, DISAGREE, UNDECIDABLE, Decisions, Rounding, compare
from sdtrace.verify.law import Bands, Judged, Law, tested_only
from sdtrace.verify.laws.greedy import NEAR_TIE
from sdtrace.verify.positions import Positions

#: The engine adds up float32 terms p ln p: the entropy is known to this share, and to this much.
_ENTROPY_ERROR, _ENTROPY_FLOOR = 1e-2, 1e-3


def judge(pos: Positions, params: Mapping[str, Any], bands: Bands) -> Judged:
    """`params`: fly_window_size, fly_entropy_threshold, fly_entropy_top_k (vLLM's names); what is missing is left open."""
    window = params.get("fly_window_size", params.get("window_size"))
    window = window if isinstance(window, int) and not isinstance(window, bool) and window > 0 else None
    native = _native(pos, bands)
    yes, no = native == AGREE, native == DISAGREE
    shut, open_ = _gate(pos, params, bands.p)
    lacking, whole = _windows(pos, window, yes, no)
    possible = bands.p.high(pos.p) > 0.0
    with np.errstate(invalid="ignore"):
        certain = bands.p.low(pos.p) > 0.0
    known = ~np.isnan(pos.p)
    kept_wrong = no & (shut | lacking | (known & ~possible))
    kept_right = yes | (no & open_ & whole & certain)
    never = shut | (pos.position + (window or 0) >= pos.spread(pos.count)) if window else shut
    decision = np.where(
        pos.accepted,
        np.where(kept_wrong, DISAGREE, np.where(kept_right, AGREE, UNDECIDABLE)),
        np.where(yes, DISAGREE, np.where(no & never, AGREE, UNDECIDABLE)),
    ).astype(np.int8)
    return Judged(tested_only(decision, pos), pos.tested, np.full(len(pos.p), np.nan))


def _native(pos: Positions, bands: Bands) -> Decisions:
    """What the law says without deferring: AGREE accepts, DISAGREE rejects, UNDECIDABLE is not known; m entries."""
    found = compare(np.ones(len(pos.p), dtype=bool), pos.p, pos.q, pos.r, bands.p, bands.q)
    if "temperature" not in pos.steps.columns:
        return found
    cold = pos.spread(pos.steps["temperature"].eq(0.0).fill_null(value=False).to_numpy())
    if not cold.any():
        return found
    best = pos.column("target_argmax_ids", absent=-1).astype(np.int64, copy=False)
    gap = pos.column("target_top2_gap").astype(np.float64, copy=False)
    with np.errstate(invalid="ignore"):
        other = np.where(gap > NEAR_TIE, DISAGREE, UNDECIDABLE)
    greedy = np.where(best < 0, UNDECIDABLE, np.where(pos.token == best, AGREE, other))
    return np.where(cold, greedy, found).astype(np.int8)


def _gate(pos: Positions, params: Mapping[str, Any], band: Rounding) -> tuple[Flags, Flags]:
    """Where the entropy of the top tokens is surely under the threshold, and where surely not; m entries each.

    Of the whole row's entropy the top tokens have a part: that is a bound from above.
    """
    threshold, top = params.get("fly_entropy_threshold"), params.get("fly_entropy_top_k", 3)
    nowhere = np.zeros(len(pos.p), dtype=bool)
    if not isinstance(threshold, int | float) or isinstance(threshold, bool) or not isinstance(top, int) or top < 1:
        return nowhere, nowhere
    if threshold <= 0:
        return nowhere, ~nowhere
    high = pos.column("target_entropy").astype(np.float64, copy=False).copy()
    low = np.full(len(high), np.nan)
    _of_rows(pos, top, band, low, high)
    with np.errstate(invalid="ignore"):
        shut = high * (1 + _ENTROPY_ERROR) + _ENTROPY_FLOOR < threshold
        open_ = low * (1 - _ENTROPY_ERROR) - _ENTROPY_FLOOR > threshold
    return shut, open_


def _of_rows(pos: Positions, top: int, band: Rounding, low: Floats, high: Floats) -> None:
    """Write the bounds of the top tokens' entropy where a row of at least so many is logged."""
    rows = pos.steps["target_top_probs"]
    if rows.null_count() == len(rows):
        return
    for row in rows.is_not_null().arg_true():
        begin = int(pos.start[row])
        for j, probs in enumerate(rows[row].to_list()[: int(pos.count[row])]):
            if not probs or len(probs) < top or any(p is None or not 0.0 <= p <= 1.01 for p in probs[:top]):
                continue
            p = np.minimum(np.array(probs[:top], dtype=np.float64), 1.0)
            term = -p * np.log(np.maximum(p, 1e-300))
            # -p ln p moves by at most |1 + ln p| for each unit that p moves
            slack = float(((band.high(p) - band.low(p)) * (1.0 - np.log(np.maximum(band.low(p), 1e-9)))).sum())
            low[begin + j], high[begin + j] = float(term.sum()) - slack, float(term.sum()) + slack


def _windows(pos: Positions, window: int | None, yes: Flags, no: Flags) -> tuple[Flags, Flags]:
    """Where a kept token has surely no accepted window behind it, and where it surely has one; m entries each."""
    m = len(pos.p)
    if window is None:
        return np.zeros(m, dtype=bool), np.zeros(m, dtype=bool)
    count = pos.spread(pos.count)
    end = pos.position + window
    # an engine that clips num_accepted at a cut kept more than it says: only steps in the middle of a request tell
    middle = pos.spread(~_may_be_cut(pos))
    lacking = (end >= count) | ((end >= pos.n_a) & (pos.n_a >= 0) & middle)
    whole = end < np.minimum(count, np.maximum(pos.n_a, 0))
    for offset in range(1, min(window, int(pos.count.max(initial=0))) + 1):
        inside = (pos.position + offset < count) & (pos.position + offset < pos.n_a)
        lacking |= inside & _ahead(no, offset)
        whole &= inside & _ahead(yes, offset)
    return lacking, whole


def _may_be_cut(pos: Positions) -> Flags:
    """Steps (n entries) that may end a request, or hold a stop id as their last token."""
    steps = pos.steps
    if "is_last" not in steps.columns:
        return np.ones(steps.height, dtype=bool)
    ends = steps["is_last"].fill_null(value=True).to_numpy()
    return np.asarray(ends | (steps["n_a"].to_numpy() != steps["last_tested"].to_numpy()))


def _ahead(flags: Flags, offset: int) -> npt.NDArray[np.bool_]:
    """The flag that many positions later; False behind the end."""
    return np.append(flags[offset:], np.zeros(min(offset, len(flags)), dtype=bool))


LAW = Law(
    "fly",
    "as the ratio law, but a rejection is kept where the target is unsure and a window of later tokens is accepted",
    lossless=False,
    draws=True,
    residual=None,
    judge=judge,
    draft="sampled",
    decides="window",
    of_greedy=True,
)
