"""At temperature 0 the token after the accepted block is not the target's argmax.

What it finds
A recovered or bonus token that is not the argmax, with a gap that no numerical tie explains.

Why it matters
The text leaves plain greedy decoding at that token.

What to do
Emit the argmax of the row behind the accepted block.

How it can be wrong
Near-ties (gap within 0.25 logits) are not counted, nor rows whose gap is not logged.
"""

import polars as pl

from sdtrace.results.check import Check, counted
from sdtrace.verify.laws import where
from sdtrace.verify.laws.greedy import NEAR_TIE

# a cut step proves nothing where the engine clips num_accepted
_CLIPPED = (pl.col("is_last") | pl.col("stop_at").is_not_null()) & (pl.col("n_a") < pl.col("verified"))

CHECK = Check(
    code="SD142",
    name="greedy-token",
    table="steps",
    needs=("target_argmax_ids", "target_top2_gap", "output_token_ids"),
    judged=pl.col("y").is_not_null() & pl.col("argmax_y").is_not_null() & pl.col("gap_y").is_not_null() & ~_CLIPPED,
    fault=(pl.col("y") != pl.col("argmax_y")) & (pl.col("gap_y") > NEAR_TIE),
    read=counted("tokens after the block are not the argmax", clear="tokens after the block are the argmax"),
    laws=where(lambda law: law.greedy),
    shows=("y", "argmax_y", "gap_y"),
)
