"""Requests go on behind a block that ends with a stop id.

What it finds
Steps whose last token is a stop id although their request has further steps.

Why it matters
Either the requests ignore their stop ids on purpose (ignore_eos, min_tokens), or the engine does not look at them.

What to do
Leave ids that a request ignores out of its stop_token_ids; then SD161 can tell the two apart.

How it can be wrong
Nothing is accused by it: it says that stop ids of this record do not tell where an answer ends.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD162",
    name="goes-on-after-stop",
    table="steps",
    needs=("stop_token_ids", "output_token_ids"),
    judged=pl.col("stop_at").is_not_null() & (pl.col("stop_at") == pl.col("appended") - 1),
    fault=~pl.col("is_last"),
    read=counted("steps end with a stop id and their request goes on"),
    laws=None,
    shows=("stop_at", "appended"),
)
