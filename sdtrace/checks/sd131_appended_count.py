"""A step appended more or fewer tokens than it accepted plus one.

What it finds
appended is not num_accepted + 1. Fully accepted steps without a bonus, or with a doubled one, have checks of their own.

Why it matters
Tokens were lost or invented between the sampler and the output.

What to do
Compare output_token_ids of the step with its draft and num_accepted.

How it can be wrong
Steps that end a request or hold a stop id may be cut: only too many tokens count there. Steps that verified nothing and
append nothing are none of it: a chunk of a prompt, or a request that had to wait.
"""

import polars as pl

from sdtrace.results.check import Check, counted
from sdtrace.verify.positions import TURN_ENDS

_FULL = (pl.col("n_a") == pl.col("verified")) & (pl.col("verified") > 0)
_MORE = (pl.col("appended") > pl.col("n_a") + 1) & ~(_FULL & pl.col("twice"))
_CUT = pl.col("is_last") | pl.col("stop_at").is_not_null()
_IDLE = (pl.col("verified") == 0) & (pl.col("appended") == 0)
_FEWER = (
    (pl.col("appended") < pl.col("n_a") + 1)
    & ~_CUT
    & ~TURN_ENDS
    & ~_IDLE
    & ~(_FULL & (pl.col("appended") == pl.col("n_a")))
)

CHECK = Check(
    code="SD131",
    name="appended-count",
    table="steps",
    needs=("output_token_ids",),
    judged=pl.col("appended").is_not_null() & (pl.col("n_a") >= 0) & (pl.col("recorded") <= pl.col("verified")),
    fault=_MORE | _FEWER,
    read=counted("steps append another number of tokens than accepted + 1"),
    laws=None,
    shows=("appended", "n_a"),
)
