"""A drafted token was rejected although the target gives it at least the draft's probability.

What it finds
A rejection where p/q is above 1 beyond rounding. No uniform is needed: r never exceeds 1.

Why it matters
It is a proof even in logs without r, and each such rejection costs tokens and bends the text.

What to do
Look for an inverted ratio, probabilities of another row, or sampling parameters applied to one side only.

How it can be wrong
Only where the log holds raw instead of processed probabilities, or the law is not the ratio law (block verification
may reject such a token: this check is not run on it).
"""

import polars as pl

from sdtrace.results.check import Check, counted
from sdtrace.verify.laws import where

CHECK = Check(
    code="SD102",
    name="impossible-rejection",
    table="positions",
    needs=("target_probs", "draft_probs"),
    judged=pl.col("tested") & ~pl.col("accepted") & (pl.col("p") >= 0) & (pl.col("q") > 0),
    fault=(pl.col("decision") == -1) & (pl.col("p") >= pl.col("q")),
    read=counted("rejections stand where the target gives at least the draft's probability"),
    laws=where(lambda law: law.residual == "ratio"),
    shows=(),
)
