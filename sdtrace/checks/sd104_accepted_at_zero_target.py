"""A token was accepted that the target gives probability 0.

What it finds
An accepted position with p = 0, where rounding cannot have made it 0.

Why it matters
Masked or filtered tokens (grammar, top-k, top-p) get into the text.

What to do
If r is exactly 0 it is the boundary of an inclusive test (vllm-ascend#15556): keep r away from 0. Otherwise the filter
is applied to one side only.

How it can be wrong
A law that ignores p on purpose (synthetic acceptance).
"""

import polars as pl

from sdtrace.results.check import Check, counted
from sdtrace.verify.laws import where

CHECK = Check(
    code="SD104",
    name="accepted-at-zero-target",
    table="steps",
    needs=("target_probs",),
    judged=pl.col("n_a") > 0,
    fault=pl.col("zero_p_accepted") > 0,
    read=counted("steps accept a token of target probability 0"),
    laws=where(lambda law: law.lossless and not law.greedy),
    shows=(),
)
