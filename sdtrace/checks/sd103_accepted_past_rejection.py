"""Tokens count as accepted although an earlier one of the same step was rejected.

What it finds
A recorded decision "rejected" at a position that num_accepted counts as accepted.

Why it matters
Tokens after the first rejection were drafted on a prefix that does not exist any more.

What to do
End the accepted block at the first rejection: cumulative product of the decisions, not their sum.

How it can be wrong
Decisions after the first rejection are not read, as the format says; only those that num_accepted counts.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD103",
    name="accepted-past-rejection",
    table="positions",
    needs=("accepted",),
    judged=pl.col("by_count") & (pl.col("flag") >= 0),
    fault=pl.col("flag") == 0,
    read=counted("positions counted as accepted were recorded as rejected"),
    laws=None,
    shows=(),
)
