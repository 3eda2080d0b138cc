"""Tokens were kept after a stop id.

What it finds
A stop id that is not the last token its step appended. A request that goes on behind a block which ends with a stop id is
counted by SD162.

Why it matters
The answer goes on behind its end; counters and users see tokens that should not exist (vllm#56101).

What to do
Cut the accepted block at the first stop id before it is appended.

How it can be wrong
If the request ignores its end-of-sequence id (benchmarks do), leave it out of stop_token_ids. Where requests go on behind
stop ids at the end of a block as well (SD162), stop ids are not obeyed at all, perhaps on purpose: nobody is accused. It is proved
where three requests or more end with a stop id, else suspected.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD161",
    name="emitted-after-stop",
    table="steps",
    needs=("stop_token_ids", "output_token_ids"),
    judged=pl.col("stop_token_ids").is_not_null() & (pl.col("appended") > 0),
    fault=pl.col("stop_at").is_not_null() & (pl.col("stop_at") < pl.col("appended") - 1),
    read=counted("steps keep tokens after a stop id"),
    laws=None,
    shows=("stop_at", "appended"),
)
