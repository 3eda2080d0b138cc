"""Synthetic: a coin that ignores p and q (vllm#41035: benchmarks only). Not lossless."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sdtrace.verify.band import EXACT, compare
from sdtrace.verify.law import Bands, Judged, Law, tested_only, undecided
from sdtrace.verify.positions import Positions


def judge(pos: Positions, params: Mapping[str, Any], bands: Bands) -> Judged:
    """`params`: acceptance_rate (or rate), a number, or rates, one a position: accept iff r <= rate."""
    rates = params.get("rates", params.get("acceptance_rate", params.get("rate")))
    if isinstance(rates, int | float):
        rate = np.full(len(pos.p), float(rates))
    elif isinstance(rates, list) and rates and all(isinstance(x, int | float) for x in rates):
        rate = np.array([float(x) for x in rates])[np.minimum(pos.position, len(rates) - 1)]
    else:
        return undecided(pos)
    decision = compare(pos.accepted, rate, np.ones_like(rate), pos.r, EXACT, EXACT)
    return Judged(tested_only(decision, pos), pos.tested, rate)


LAW = Law(
    "synthetic",
    "accepted by a coin of a fixed rate",
    lossless=False,
    draws=True,
    residual=None,
    judge=judge,
    of_greedy=True,
)
