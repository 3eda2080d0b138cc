"""Multi-draft: several drafted tokens a node, tried one after the other (SpecInfer, Miao et al. 2024; SpecTr's k-sequential
selection, Sun et al. 2023; Sequoia, Chen et al. 2024).

    SpecInfer: accept x_i iff r_i <= p_i(x_i) / q(x_i), else p_{i+1} = norm(max(0, p_i - q)); y ~ p_{k+1}
    SpecTr: accept x_i iff r_i <= p(x_i) / (rho q(x_i)), 1 <= rho <= k

A record of format 1 holds the accepted chain, one token a node. Which token was the first, and what p was by the time
that one was tried, is not in it: with one token a node it is the ratio law, otherwise only a token that p excludes is proof.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sdtrace.verify.band import DISAGREE, UNDECIDABLE, compare
from sdtrace.verify.law import Bands, Judged, Law, children, tested_only
from sdtrace.verify.positions import Positions


def judge(pos: Positions, params: Mapping[str, Any], bands: Bands) -> Judged:
    """The ratio law where the run declares one token a node (`num_drafts`: 1); else an accepted token of p = 0 is wrong."""
    if children(params) == 1:
        decision = compare(pos.accepted, pos.p, pos.q, pos.r, bands.p, bands.q)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            expected = np.where(pos.q > 0, np.minimum(pos.p / pos.q, 1.0), np.nan)
        return Judged(tested_only(decision, pos), pos.tested, expected)
    excluded = pos.accepted & (bands.p.high(pos.p) == 0.0)
    decision = np.where(excluded, DISAGREE, UNDECIDABLE).astype(np.int8)
    return Judged(tested_only(decision, pos), pos.tested, np.full(len(pos.p), np.nan))


LAW = Law(
    name="multi-draft",
    says="several drafted tokens a node are tried in turn, each against what the ones before left of p",
    lossless=True,
    draws=False,
    residual=None,
    judge=judge,
)
