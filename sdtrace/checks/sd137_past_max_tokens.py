"""A request has more output than its max_tokens allows.

What it finds
output_len above max_tokens; where it is not recorded, steps that begin although max_tokens had been appended before them.

Why it matters
The block that crosses the limit was not cut: users pay for tokens that they did not allow.

What to do
Cut the accepted block at max_tokens before it is appended.

How it can be wrong
A last block that crosses the limit and is cut behind the engine is lawful: only what output_len counts is output.
"""

import polars as pl

from sdtrace.results.check import Check, counted

_KNOWN = pl.col("output_len").is_not_null()

CHECK = Check(
    code="SD137",
    name="past-max-tokens",
    table="requests",
    needs=("max_tokens",),
    judged=(pl.col("max_tokens") > 0) & (_KNOWN | (pl.col("known_appended") > 0)),
    fault=pl.when(_KNOWN)
    .then(pl.col("output_len") > pl.col("max_tokens"))
    .otherwise(pl.col("appended") - pl.col("most") >= pl.col("max_tokens")),
    read=counted("requests have more output than their max_tokens"),
    laws=None,
    shows=("output_len", "appended", "max_tokens"),
)
