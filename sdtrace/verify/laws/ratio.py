"""Ratio: accept x iff r <= p(x) / q(x) (Leviathan et al. 2023, Chen et al. 2023)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sdtrace.verify.band import compare
from sdtrace.verify.law import Bands, Judged, Law, tested_only
from sdtrace.verify.positions import Positions


def judge(pos: Positions, params: Mapping[str, Any], bands: Bands) -> Judged:
    """Decisions by the sound band; expected acceptance min(1, p / q). Where no q was used it is 1 (one-hot)."""
    decision = compare(pos.accepted, pos.p, pos.q, pos.r, bands.p, bands.q)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        expected = pos.p / pos.q
        np.minimum(expected, 1.0, out=expected)
    if not (len(expected) and pos.q.min() > 0.0):  # a NaN makes this true, too
        expected[~(pos.q > 0.0)] = np.nan
    return Judged(tested_only(decision, pos), pos.tested, expected)


LAW = Law(
    name="ratio",
    says="accepted when the target probability is at least the draft's, otherwise rejected only if r > p/q",
    lossless=True,
    draws=True,
    residual="ratio",
    judge=judge,
    draft="sampled",
)
