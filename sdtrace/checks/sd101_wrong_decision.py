"""A recorded accept/reject decision contradicts the law it was made under.

What it finds
A tested position where the law, recomputed from the logged p, q and r (or the argmax), gives the opposite of what the
record says, whatever the rounding of the log and the convention for ties.

Why it matters
Each is a proof that the sampler did not follow its law, so the text does not follow the target model.

What to do
Read the named step with `sdtrace explain`; the cause names the wrong rule that explains the disagreements, if one does.

How it can be wrong
The declared law may not be the one the engine used: then another law fits and the report says so. Log basis: p and q
must be the processed ones (after temperature, top-k, top-p).
"""

import polars as pl

from sdtrace.results.check import Check, counted
from sdtrace.verify.laws import where

CHECK = Check(
    code="SD101",
    name="wrong-decision",
    table="positions",
    needs=(),
    judged=pl.col("tested") & (pl.col("decision") != 0),
    fault=pl.col("decision") == -1,
    read=counted("tested decisions contradict the law"),
    laws=where(lambda law: not law.greedy),
    shows=(),
)
