"""A histogram of accepted tokens does not add up to the counts beside it.

What it finds
Histograms whose entries do not sum to the steps, or whose tokens do not sum to the accepted ones.

Why it matters
Histogram and counts are two records of the same steps; if they differ, one of them lost steps.

What to do
Use the counts that agree with the server's own; tell the writer of the other.

How it can be wrong
Nothing: both sums are exact.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD405",
    name="histogram-sums",
    table="windows",
    needs=("histogram",),
    judged=pl.col("histogram").is_not_null() & pl.col("drafts").is_not_null() & pl.col("accepted").is_not_null(),
    fault=((pl.col("histogram").list.sum() - pl.col("drafts")).abs() > 0.5)
    | (
        (pl.col("histogram").list.eval(pl.element() * pl.int_range(pl.len())).list.sum() - pl.col("accepted")).abs()
        > 0.5
    ),
    read=counted("windows hold a histogram that does not add up", clear="windows hold a histogram that adds up"),
    laws=None,
    shows=("engine", "surface", "drafts", "accepted"),
)
