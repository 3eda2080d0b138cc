"""Greedy: temperature 0; accept x iff it is the target's argmax, and emit the argmax after the accepted block."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sdtrace.verify.band import AGREE, DISAGREE, UNDECIDABLE
from sdtrace.verify.law import Bands, Judged, Law, tested_only
from sdtrace.verify.positions import Positions

#: Logit gap under which the two best tokens are a tie: 2 ulp of bfloat16 at |logit| in [16, 32) is 0.25.
NEAR_TIE = 0.25


def judge(pos: Positions, params: Mapping[str, Any], bands: Bands) -> Judged:
    """Compare with the recorded argmax. A mismatch whose top-2 gap is within a near-tie is undecidable.

    Without the gap a mismatch may be a tie, so it is undecidable too; the check on greedy mismatches counts it.
    """
    best = pos.column("target_argmax_ids", absent=-1).astype(np.int64, copy=False)
    gap = pos.column("target_top2_gap").astype(np.float64, copy=False)
    agrees = (pos.token == best) == pos.accepted
    wrong = np.where(gap > NEAR_TIE, DISAGREE, UNDECIDABLE)
    decision = np.where(best < 0, UNDECIDABLE, np.where(agrees, AGREE, wrong)).astype(np.int8)
    expected = np.where(best < 0, np.nan, (pos.token == best).astype(np.float64))
    return Judged(tested_only(decision, pos), pos.tested, expected)


LAW = Law(
    name="greedy",
    says="accepted when it is the target's most probable token",
    lossless=True,
    draws=False,
    residual="argmax",
    judge=judge,
)

#: The same, for requests whose temperature nobody recorded in a run that declares no law: only a candidate, until it fits.
UNSAID = replace(LAW, name="greedy?")
