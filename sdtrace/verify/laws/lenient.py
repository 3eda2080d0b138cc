"""Lenient: accept x iff r <= p(x) / (l q(x)), l < 1 (Leviathan et al. 2023, appendix A.5). Not lossless."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sdtrace.verify.band import compare
from sdtrace.verify.law import Bands, Judged, Law, tested_only, undecided
from sdtrace.verify.positions import Positions


def judge(pos: Positions, params: Mapping[str, Any], bands: Bands) -> Judged:
    """Decisions by the sound band for the declared `lenience`; undecidable without it."""
    lenience = params.get("lenience")
    if not isinstance(lenience, int | float) or not 0.0 < lenience <= 1.0:
        return undecided(pos)
    q = pos.q * lenience
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        expected = np.where(q > 0, np.minimum(pos.p / q, 1.0), np.nan)
    decision = compare(pos.accepted, pos.p, q, pos.r, bands.p, bands.q)
    return Judged(tested_only(decision, pos), pos.tested, expected)


LAW = Law(
    "lenient",
    "rejected only if r > p / (lenience q)",
    lossless=False,
    draws=True,
    residual=None,
    judge=judge,
    draft="sampled",
)
