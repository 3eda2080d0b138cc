"""A recorded probability is NaN, infinite or outside [0, 1].

What it finds
target_probs and draft_probs at tested positions, and p and q of the last token.

Why it matters
A NaN compares false with everything: decisions made on it are arbitrary (vllm#53029, vllm#45060).

What to do
Find the step named, and look for NaN or infinite logits before the softmax.

How it can be wrong
Values above 1 by no more than rounding explains are not counted; nor is what lists hold at untested positions.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD106",
    name="invalid-probability",
    table="steps",
    needs=(),
    judged=pl.col("target_probs").is_not_null()
    | pl.col("draft_probs").is_not_null()
    | pl.col("last_target_prob").is_not_null(),
    fault=(pl.col("bad_p") + pl.col("bad_q") + pl.col("bad_y")) > 0,
    read=counted("steps hold such a value", clear="steps hold probabilities only"),
    laws=None,
    shows=("bad_p", "bad_q", "bad_y"),
)
