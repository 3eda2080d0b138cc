"""Tokens per step are so near 1.00 that speculation cannot pay.

What it finds
Counts in which a drafting step gains less than 0.05 tokens by its draft, at 99%.

Why it matters
Drafting and verifying the longer step cost more than a twentieth of a step, so the server is slower than without speculation.

What to do
Switch speculation off for this traffic, or use a drafter that fits it.

How it can be wrong
A lookup on a device with time to spare can cost less than that.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD437",
    name="cannot-pay",
    table="series",
    needs=("accepted",),
    judged=pl.col("enough"),
    fault=pl.col("cannot-pay"),
    read=counted("counts, in all and by series, gain less than 0.05 tokens a step"),
    laws=None,
    shows=("engine", "surface", "series", "steps", "drafted", "accepted", "tokens_per_step"),
)
