"""Acceptance stays at its maximum.

What it finds
Five or more windows after one another in which at least 300 tokens were drafted and every one was accepted (twenty windows
where the engine prints no counts).

Why it matters
Too high is as suspicious as too low: text that repeats itself is accepted entirely, and so is a corrupted comparison.

What to do
Look at the output of that time for loops; compare it with a run without speculation.

How it can be wrong
Copying and very regular text can be accepted entirely for a while. A server with little traffic drafts a token or two a window:
that all of them were accepted says nothing.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD431",
    name="acceptance-pinned",
    table="stretches",
    needs=("rate", "length"),
    judged=pl.col("windows") >= 5,
    fault=(pl.col("high") >= 5)
    & ((pl.col("high_drafted") >= 300) | ((pl.col("high_drafted") == 0) & (pl.col("high") >= 20))),
    read=counted("series stay at full acceptance for five windows or more"),
    laws=None,
    shows=("engine", "high", "high_drafted"),
)
