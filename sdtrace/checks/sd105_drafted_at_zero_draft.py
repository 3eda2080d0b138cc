"""A drafted token has draft probability 0: it was not drawn from the recorded q.

What it finds
A tested position with q = 0, where rounding cannot have made it 0.

Why it matters
The ratio p/q of such a token means nothing; accepting it is right by luck only (sglang#37134).

What to do
Hand the verifier the distribution that the draft was drawn from, after its own temperature and filters.

How it can be wrong
Where draft probabilities are rounded to decimals a small q may read 0: those are not counted.
"""

import polars as pl

from sdtrace.results.check import Check, counted
from sdtrace.verify.laws import where

CHECK = Check(
    code="SD105",
    name="drafted-at-zero-draft",
    table="steps",
    needs=("draft_probs",),
    judged=pl.col("draft_probs").is_not_null() & (pl.col("tau") > 0),
    fault=pl.col("zero_q") > 0,
    read=counted("steps hold a drafted token of draft probability 0"),
    laws=where(lambda law: law.draft == "sampled"),
    shows=(),
)
