"""The bonus token was appended twice.

What it finds
A step that accepted everything it verified and appended two tokens behind it, the same one twice.

Why it matters
The text repeats a token, and the counts say one step gained more than it can.

What to do
Append one token after a fully accepted block.

How it can be wrong
Two different tokens are no duplicate: SD131 counts them.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD122",
    name="bonus-duplicated",
    table="steps",
    needs=("output_token_ids",),
    judged=(pl.col("n_a") == pl.col("verified")) & (pl.col("verified") > 0) & (pl.col("appended") > 0),
    fault=pl.col("twice"),
    read=counted("fully accepted steps append the bonus token twice"),
    laws=None,
    shows=("y",),
)
