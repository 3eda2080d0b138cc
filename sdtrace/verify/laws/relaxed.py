"""Relaxed acceptance (TensorRT-LLM, thinking phase): x among the target's top N and p(x) >= p_top1 - delta. Not lossless."""

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
            allowed = {t for t, v in zip(best[:top], p[:top], strict=False) if v >= p[0] - delta} | {best[0]}
            decision[begin + j] = (
                AGREE if (int(pos.token[begin + j]) in allowed) == pos.accepted[begin + j] else DISAGREE
            )
    return Judged(tested_only(decision, pos), pos.tested, np.full(len(pos.p), np.nan))


LAW = Law(
    "relaxed", "accepted when near the target's best tokens", lossless=False, draws=False, residual=None, judge=judge
)
