"""Match: the target samples its own token t ~ p; x is accepted iff x = t, and t is emitted either way.

Lossless for any way of choosing x (TensorRT-LLM#15775, llama.cpp server). No uniform belongs to a decision.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sdtrace.verify.band import AGREE, DISAGREE, UNDECIDABLE
from sdtrace.verify.law import Bands, Judged, Law, tested_only
from sdtrace.verify.positions import Positions


def judge(pos: Positions, params: Mapping[str, Any], bands: Bands) -> Judged:
    """The emitted token is the draw: accepted iff it equals the drafted one. Undecidable where it was cut away.

    An accepted token with p(x) = 0 cannot have been drawn from p.
    """
    seen = pos.emitted >= 0
    matches = pos.emitted == pos.token
    impossible = pos.accepted & (bands.p.high(pos.p) == 0.0)
    right = (matches == pos.accepted) & ~impossible
    decision = np.where(seen | impossible, np.where(right, AGREE, DISAGREE), UNDECIDABLE).astype(np.int8)
    return Judged(tested_only(decision, pos), pos.tested, pos.p)


LAW = Law(
    name="match",
    says="the target draws its own token; the drafted one is accepted when it is the same",
    lossless=True,
    draws=False,
    residual="same",
    judge=judge,
)
