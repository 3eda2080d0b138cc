"""Recovered tokens lean to one end of their residual.

What it finds
Where top rows are logged, the place of the recovered token within the residual's weight, in the order of ids or of q/p, has
mean 1/2. It is looked at in the bounded sample of steps, given that the token stands in the top rows of both models. Where
uniforms are logged, the one that rejected the draft does not go with the id that was recovered; this needs no rows.

Why it matters
The uniform that rejected the draft is known to be large: an engine that uses it again to pick the recovered token
(vllm-ascend#16920) leans to one end of the vocabulary, one that uses the draft's noise again (vllm#47386) to tokens that
the draft dislikes. Acceptance and every sum over the vocabulary stay right.

What to do
Draw a uniform, or noise, of its own for the recovered token.

How it can be wrong
Top rows of another position than the rejection, or of other precision than p and q.
"""

import polars as pl

from sdtrace.results.check import Check
from sdtrace.stats.calibration import Words, calibrated
from sdtrace.verify.laws import where

CHECK = Check(
    code="SD205",
    name="recovered-order",
    table="rows",
    needs=("target_top_ids", "target_top_probs", "draft_top_ids", "draft_top_probs"),
    judged=pl.lit(value=True),
    fault=pl.lit(value=False),
    read=calibrated(
        Words("the place of recovered tokens among ids", "recovered tokens", ""), parts=("ratio", "draw"), least=0.02
    ),
    laws=where(lambda law: law.residual == "ratio"),
    tests=2,
)
