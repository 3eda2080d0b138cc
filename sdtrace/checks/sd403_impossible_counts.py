"""More tokens were accepted than drafted, or drafted than the draft length allows.

What it finds
Negative counts, accepted above drafted, drafted above the draft length (the configured one where the log tells it) times
the steps that drafted, more steps that drafted than steps.

Why it matters
Counts that cannot be make every figure from them meaningless.

What to do
Look for counters that are incremented twice or reset apart; compare with per-request records.

How it can be wrong
A draft length read from the configuration is too small where another implementation drafts more.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD403",
    name="impossible-counts",
    table="windows",
    needs=("drafted",),
    judged=(pl.col("drafted").is_not_null() | pl.col("accepted").is_not_null())
    & pl.col("basis").is_in(["round", "request", "interval", "iteration", "run"]),
    fault=(pl.col("accepted") > pl.col("drafted")).fill_null(value=False)
    | (pl.col("accepted") < 0).fill_null(value=False)
    | (pl.col("drafted") < 0).fill_null(value=False)
    | (pl.col("steps") < 0.98 * pl.col("drafts") - 1).fill_null(value=False)
    | (pl.col("drafted") > 1.02 * pl.col("k") * pl.col("drafts") + pl.col("k")).fill_null(value=False),
    read=counted("windows hold counts that cannot be"),
    laws=None,
    shows=("engine", "surface", "k", "drafts", "drafted", "accepted"),
)
