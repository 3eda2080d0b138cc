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

_SINGLE = pl.col("basis").is_in(["round", "request", "interval", "iteration", "run"])
#: Tokens by which a total may run ahead of another one that was read a moment earlier.
_APART = 100

CHECK = Check(
    code="SD403",
    name="impossible-counts",
    table="windows",
    needs=("drafted",),
    judged=(pl.col("drafted").is_not_null() | pl.col("accepted").is_not_null())
    & (_SINGLE | pl.col("basis").is_in(["counter", "lifetime"])),
    fault=(
        pl.col("accepted") > pl.when(_SINGLE).then("drafted").otherwise(1.02 * pl.col("drafted") + _APART)
    ).fill_null(value=False)
    | (pl.col("accepted") < 0).fill_null(value=False)
    | (pl.col("drafted") < 0).fill_null(value=False)
    | (pl.col("steps") < 0.98 * pl.col("drafts") - 1).fill_null(value=False)
    | (pl.col("drafted") > 1.02 * pl.col("k") * pl.col("drafts") + pl.col("k")).fill_null(value=False),
    read=counted("windows hold counts that cannot be"),
    laws=None,
    shows=("engine", "surface", "k", "drafts", "drafted", "accepted"),
)
