"""Relaxed acceptance (TensorRT-LLM): x among the target's top N and p(x) >= p_top1 - delta. Not lossless.

It holds while a model thinks (begin_thinking_phase_token); before and after that x must be the target's best. The phase is not in
the record: an accepted token outside the relaxed set is proof, and a rejected one that is the best by more than rounding.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from sdtrace.verify.band import AGREE, DISAGREE, UNDECIDABLE
from sdtrace.verify.law import Bands, Judged, Law, tested_only, undecided
from sdtrace.verify.positions import Positions


def judge(pos: Positions, params: Mapping[str, Any], bands: Bands) -> Judged:
    """`params`: relaxed_topk, relaxed_delta; decides where the target's top row is logged and at least N long."""
    top, delta = params.get("relaxed_topk"), params.get("relaxed_delta")
    if not isinstance(top, int) or not isinstance(delta, int | float):
        return undecided(pos)
    decision = np.full(len(pos.p), UNDECIDABLE, dtype=np.int8)
    rows = pos.steps.select("target_top_ids", "target_top_probs").with_row_index("row")
    for row, ids, probs in rows.filter(pl.col("target_top_ids").is_not_null()).iter_rows():
        begin = int(pos.start[row])
        for j, (best, p) in enumerate(zip(ids or [], probs or [], strict=False)):
            if j >= pos.count[row] or not best or not p or len(best) < top:
                continue
            token, kept = int(pos.token[begin + j]), bool(pos.accepted[begin + j])
            decision[begin + j] = _decided(token, kept, best[:top], p[:top], delta, bands)
    return Judged(tested_only(decision, pos), pos.tested, np.full(len(pos.p), np.nan))


def _decided(token: int, kept: bool, best: list[int], p: list[float], delta: float, bands: Bands) -> int:
    """One decision against the top row (ids and probabilities, best first)."""
    values = np.array(p, dtype=np.float64)
    low, high = bands.p.low(values), bands.p.high(values)
    single = len(p) < 2 or low[0] > high[1]
    if kept:
        allowed = {t for t, most in zip(best, high, strict=False) if most >= low[0] - delta}
        return AGREE if token in allowed or token == best[0] else DISAGREE
    if token == best[0]:
        return DISAGREE if single else UNDECIDABLE
    return AGREE if token not in best or high[best.index(token)] < low[0] - delta else UNDECIDABLE


LAW = Law(
    "relaxed",
    "accepted when near the target's best tokens",
    lossless=False,
    draws=False,
    residual=None,
    judge=judge,
    of_greedy=True,
)
