"""A step names its last token wrongly.

What it finds
last_kind says bonus after a rejection, or recovered where everything was accepted.

Why it matters
Statistics of recovered and bonus tokens are then computed over the wrong ones.

What to do
Write last_kind from num_accepted and verified_len of the step.

How it can be wrong
Cut steps have no last_kind; an engine that clips num_accepted at a cut is not looked at.
"""

import polars as pl

from sdtrace.results.check import Check, counted

_BONUS, _RECOVERED = pl.col("last_kind") == "bonus", pl.col("last_kind") == "recovered"

CHECK = Check(
    code="SD135",
    name="last-kind",
    table="steps",
    needs=("last_kind",),
    judged=(pl.col("n_a") >= 0)
    & (_BONUS | _RECOVERED)
    & ~pl.col("is_last")
    & pl.col("stop_at").is_null()
    & (pl.col("recorded") <= pl.col("verified")),
    fault=(_BONUS & (pl.col("n_a") < pl.col("verified"))) | (_RECOVERED & (pl.col("n_a") == pl.col("verified"))),
    read=counted("steps name their last token wrongly"),
    laws=None,
    shows=("last_kind", "n_a", "verified"),
)
