"""Accepted tokens by position do not add up to the accepted tokens.

What it finds
Counters by position whose sum is not the counter of accepted tokens: every accepted token has one position.

Why it matters
Tokens per step is one plus the sum of the rates by position. If that sum is another number than accepted over steps, one of
the two counters misses steps.

What to do
Take the counter of accepted tokens, and look for positions that are not exported (a list that is cut, a label that is dropped
on the way to the dashboard).

How it can be wrong
A scrape in the middle of an update is off by a few tokens; two percent and sixteen tokens are allowed.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD409",
    name="positions-sum",
    table="windows",
    needs=("accepted_by_position", "accepted"),
    judged=(pl.col("accepted_by_position").list.len() > 0).fill_null(value=False)
    & pl.col("accepted").is_not_null()
    & (pl.col("basis") == "counter"),
    fault=(pl.col("accepted_by_position").list.sum() - pl.col("accepted")).abs() > 0.02 * pl.col("accepted") + 16,
    read=counted("scrapes count other accepted tokens by position than in all"),
    laws=None,
    shows=("engine", "surface", "accepted"),
)
