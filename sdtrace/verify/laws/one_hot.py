"""One-hot: the draft is a point, q(x) = 1, so accept x iff r <= p(x) (vllm#16899: what engines do without draft probs)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sdtrace.verify.band import EXACT, compare
from sdtrace.verify.law import Bands, Judged, Law, tested_only
from sdtrace.verify.positions import Positions


def judge(pos: Positions, params: Mapping[str, Any], bands: Bands) -> Judged:
    """Decisions by the sound band with q = 1 whatever was logged; expected acceptance p(x)."""
    decision = compare(pos.accepted, pos.p, np.ones_like(pos.p), pos.r, bands.p, EXACT)
    return Judged(tested_only(decision, pos), pos.tested, pos.p)


LAW = Law(
    name="one-hot",
    says="the draft counts as certain (q = 1): accepted when r <= p",
    lossless=True,
    draws=True,
    residual="without-x",
    judge=judge,
    draft="point-mass",
)
