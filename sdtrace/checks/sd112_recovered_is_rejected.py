"""After a rejection the rejected token itself was appended.

What it finds
A recovered token that equals the drafted token at the first rejection.

Why it matters
The residual gives the rejected token probability 0 (p < q there, or q = 1): drawing it again undoes the rejection.

What to do
Remove the rejected token from the distribution of the recovered one (vllm#41834 emitted it out of a NaN row).

How it can be wrong
Block verification can lawfully emit it; greedy and match treat it as a wrong decision. It is not run on those. Where the
rejection itself was impossible (p >= q) the residual does hold the token: SD102 has it then, and this check looks away.
"""

import polars as pl

from sdtrace.results.check import Check, counted
from sdtrace.verify.laws import where

# an engine that clips num_accepted at a cut shows an accepted token as if it had been recovered
_WHOLE = pl.col("last_tested") == pl.col("n_a")
_PLAIN = (~pl.col("is_last") & pl.col("stop_at").is_null()) | ((pl.col("last_kind") == "recovered") & _WHOLE)

CHECK = Check(
    code="SD112",
    name="recovered-is-rejected",
    table="steps",
    needs=("output_token_ids",),
    judged=(pl.col("n_a") >= 0)
    & (pl.col("n_a") < pl.col("verified"))
    & (pl.col("appended") == pl.col("n_a") + 1)
    & pl.col("y").is_not_null()
    & (pl.col("x_rejected") >= 0)
    & ~pl.col("impossible")
    & _PLAIN,
    fault=pl.col("y") == pl.col("x_rejected"),
    read=counted("recovered tokens are the rejected one"),
    laws=where(lambda law: law.quotient),
    shows=("y", "x_rejected"),
)
