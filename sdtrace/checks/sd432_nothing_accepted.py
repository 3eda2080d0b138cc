"""Acceptance stays at zero.

What it finds
Five or more windows after one another in which at least 500 tokens were drafted and none accepted (twenty windows where
the engine prints no counts).

Why it matters
Drafting costs time and gives nothing. A drafter that is merely bad is right sometimes: never means wired wrongly.

What to do
Check that the drafter sees the same tokens and hidden states as the target, its vocabulary and its weights.

How it can be wrong
A drafter by lookup on text without repetition accepts little; five windows without one token are still a waste.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD432",
    name="nothing-accepted",
    table="stretches",
    needs=("rate", "length"),
    judged=pl.col("windows") >= 5,
    fault=(pl.col("zero") >= 5)
    & ((pl.col("zero_drafted") >= 500) | ((pl.col("zero_drafted") == 0) & (pl.col("zero") >= 20))),
    read=counted("series accept no drafted token in five or more consecutive log intervals"),
    laws=None,
    shows=("engine", "zero", "zero_drafted"),
)
