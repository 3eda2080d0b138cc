"""Tokens were appended that the vocabulary does not have.

What it finds
Ids in output_token_ids that are negative or not below the run's vocab_size.

Why it matters
No row of the target has such a token: a buffer was read that nobody wrote, or ids of another vocabulary got through.

What to do
Look at the step named: where its ids were gathered, padded or mapped from the draft's vocabulary to the target's.

How it can be wrong
vocab_size may be the tokenizer's without its added tokens. Where a stop id lies beyond it, or an accepted token to which
the target gives a probability, it is not believed, and nothing is judged. Padding (-1 behind the others) is no token.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD136",
    name="outside-vocabulary",
    table="steps",
    needs=("output_token_ids",),
    judged=pl.col("strange").is_not_null(),
    fault=pl.col("strange") > 0,
    read=counted("steps append ids that are outside the vocabulary"),
    laws=None,
    shows=("strange",),
)
