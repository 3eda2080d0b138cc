"""The residual leans to tokens that the draft likes too much, or too little.

What it finds
Reverse calibration weighed by what the draft's noise does to a recovered token that is drawn with it again (vllm#47386):
tokens with q near p have lost with that noise already, the more the larger the residual is. Where the overlap of p and q
is not logged, p at the token stands for it.

Why it matters
The rate of acceptance stays right, so nothing else shows it; the text is still not the target's.

What to do
Draw the recovered token with noise of its own; check the q that the residual subtracts.

How it can be wrong
As for reverse calibration.
"""

import polars as pl

from sdtrace.results.check import Check
from sdtrace.stats.calibration import Words, calibrated
from sdtrace.verify.laws import where

CHECK = Check(
    code="SD204",
    name="residual-shape",
    table="evidence",
    needs=("target_probs", "draft_probs", "last_target_prob", "last_draft_prob"),
    judged=pl.lit(value=True),
    fault=pl.lit(value=False),
    read=calibrated(Words("the balance of the residual", "emitted tokens")),
    laws=where(lambda law: law.residual == "ratio"),
    tests=1,
)
