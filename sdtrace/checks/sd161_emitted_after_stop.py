"""Tokens were kept after a stop id.

What it finds
A stop id that is not the last token its step appended.

Why it matters
The answer goes on behind its end; counters and users see tokens that should not exist (vllm#56101).

What to do
Cut the accepted block at the first stop id before it is appended.

How it can be wrong
If the request ignores its end-of-sequence id (benchmarks do), leave it out of stop_token_ids.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD161",
    name="emitted-after-stop",
    table="steps",
    needs=("stop_token_ids", "output_token_ids"),
    judged=pl.col("stop_token_ids").is_not_null() & (pl.col("appended") > 0),
    fault=pl.col("stop_at").is_not_null() & ((pl.col("stop_at") < pl.col("appended") - 1) | ~pl.col("is_last")),
    read=counted("steps keep tokens after a stop id"),
    laws=None,
    shows=("stop_at", "appended"),
)
