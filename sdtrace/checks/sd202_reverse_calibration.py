"""Whether an emitted token was a drafted one does not follow q/p at that token.

What it finds
Given the emitted token y, a slot was an acceptance with the chance min(1, q(y)/p(y)) if x was drawn from q, accepted
by the law and recovered from the residual: both paths to y have the weights min(p, q)(y) and (p - q)+(y). The mean of
accepted - that chance is 0; looked at as a whole and by decades of q at y, along which it leans where the draft was drawn
from something sharper or flatter than q; and by itself where a stop id was emitted.

Why it matters
It sees what the decisions alone cannot: drafts not drawn from the recorded q (transformers#47932), tokens not
recovered from the residual.

What to do
With acceptance right: check that q is the distribution that was sampled, after temperature, top-k and top-p; then the
residual.

How it can be wrong
last_target_prob or last_draft_prob of another row; last tokens that are recorded only for some outcomes.
"""

import polars as pl

from sdtrace.results.check import Check
from sdtrace.stats.calibration import Words, calibrated
from sdtrace.verify.laws import where

CHECK = Check(
    code="SD202",
    name="reverse-calibration",
    table="evidence",
    needs=("target_probs", "draft_probs", "last_target_prob", "last_draft_prob"),
    judged=pl.lit(value=True),
    fault=pl.lit(value=False),
    read=calibrated(Words("acceptance given the emitted token", "emitted tokens"), by_bins=True, parts=("stop",)),
    laws=where(lambda law: law.residual == "ratio"),
    tests=3,
)
