"""Typical acceptance (Cai et al. 2024, Medusa): accept x iff p(x) > min(epsilon, delta exp(-H(p))). Not lossless."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sdtrace.verify.band import AGREE, DISAGREE, UNDECIDABLE
from sdtrace.verify.law import Bands, Judged, Law, tested_only, undecided
from sdtrace.verify.positions import Positions

#: The engine's entropy is computed with log(p + 1e-5) and rounded: the threshold is known to this share.
_ENTROPY_ERROR = 1e-2


def judge(pos: Positions, params: Mapping[str, Any], bands: Bands) -> Judged:
    """`params`: posterior_threshold (epsilon) and posterior_alpha (delta); needs the target's entropy (nats)."""
    epsilon = params.get("posterior_threshold", params.get("epsilon"))
    delta = params.get("posterior_alpha", params.get("delta"))
    if not isinstance(epsilon, int | float) or not isinstance(delta, int | float):
        return undecided(pos)
    entropy = pos.column("target_entropy").astype(np.float64, copy=False)
    bar = np.minimum(epsilon, delta * np.exp(-entropy))
    above = bands.p.low(pos.p) > bar * (1 + _ENTROPY_ERROR)
    below = bands.p.high(pos.p) < bar * (1 - _ENTROPY_ERROR)
    right = np.where(above, pos.accepted, ~pos.accepted)
    known = (above | below) & np.isfinite(bar)
    decision = np.where(known, np.where(right, AGREE, DISAGREE), UNDECIDABLE).astype(np.int8)
    return Judged(tested_only(decision, pos), pos.tested, np.full(len(pos.p), np.nan))


LAW = Law(
    "typical", "accepted when p is above an entropy threshold", lossless=False, draws=False, residual=None, judge=judge
)
