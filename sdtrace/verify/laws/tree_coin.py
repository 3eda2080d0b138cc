"""Tree-coin: one coin per node against the running sum of p over siblings (SGLang's target-only tree kernel).

A record of format 1 holds the accepted chain, one child a node. Where the run declares one child a node (`topk` 1), the coin
is compared with p(x) / threshold_acc, or p(x) reaches threshold_single; with both thresholds 1 that is the one-hot law.
Otherwise siblings may have been tried before x: the coin is held to a sum that is p(x) at the least. Then a rejection
under that is the only proof, an acceptance has no chance that the record gives, and nothing is calibrated.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sdtrace.verify.band import AGREE, DISAGREE, EXACT, UNDECIDABLE, compare
from sdtrace.verify.law import Bands, Judged, Law, children, tested_only
from sdtrace.verify.positions import Positions


def judge(pos: Positions, params: Mapping[str, Any], bands: Bands) -> Judged:
    """Decisions by the sound band. `params`: threshold_acc, threshold_single (1 where absent: lossless), topk."""
    whole, single = (_threshold(params, name) for name in ("threshold_acc", "threshold_single"))
    decision = compare(
        pos.accepted,
        pos.p if whole == 1.0 else np.minimum(pos.p / whole, 1.0),
        np.ones_like(pos.p),
        pos.r,
        bands.p,
        EXACT,
    )
    if single < 1.0:
        sure, never = bands.p.low(pos.p) >= single, bands.p.high(pos.p) < single
        by_single = np.where(pos.accepted, AGREE, DISAGREE)
        decision = np.where(sure, by_single, np.where(never, decision, UNDECIDABLE)).astype(np.int8)
    if children(params) != 1:
        hidden = pos.accepted & (decision == DISAGREE) & (bands.p.high(pos.p) > 0.0)
        decision = np.where(hidden, UNDECIDABLE, decision).astype(np.int8)
        return Judged(tested_only(decision, pos), pos.tested, np.full(len(pos.p), np.nan))
    expected = np.minimum(pos.p / whole, 1.0)
    return Judged(tested_only(decision, pos), pos.tested, np.where(pos.p >= single, 1.0, expected))


def _threshold(params: Mapping[str, Any], name: str) -> float:
    value = params.get(name, 1.0)
    # the kernel takes max(threshold, 1e-9): 0 accepts whatever the target does not exclude
    return max(float(value), 1e-9) if isinstance(value, int | float) and 0.0 <= value <= 1.0 else 1.0


LAW = Law(
    name="tree-coin",
    says="one coin a node: accepted when it is not above the target probability of the children tried so far",
    lossless=True,
    draws=True,
    residual="without-x",
    judge=judge,
    draft="point-mass",
)
