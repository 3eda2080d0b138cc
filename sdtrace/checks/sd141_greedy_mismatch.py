"""At temperature 0 a decision does not follow the target's argmax.

What it finds
A drafted token accepted although it is not the argmax, or rejected although it is, with a gap between the two best
logits that no numerical tie explains.

Why it matters
Greedy output must be that of plain greedy decoding; one event outside ties is proof.

What to do
Check which row of logits the ids are compared with, and whether the request is really verified greedily.

How it can be wrong
Near-ties (gap within 0.25 logits: 2 ulp of bfloat16) are not counted; without the gap a mismatch is undecidable.
"""

import polars as pl

from sdtrace.results.check import Check, counted
from sdtrace.verify.laws import where

CHECK = Check(
    code="SD141",
    name="greedy-mismatch",
    table="positions",
    needs=("target_argmax_ids",),
    judged=pl.col("tested") & (pl.col("argmax") >= 0) & (pl.col("token") >= 0),
    fault=pl.col("decision") == -1,
    read=counted("greedy decisions do not follow the argmax", clear="greedy decisions follow the argmax"),
    laws=where(lambda law: law.greedy),
    shows=("argmax", "gap"),
)
