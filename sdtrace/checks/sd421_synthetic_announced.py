"""The engine announces synthetic acceptance.

What it finds
A log in which the engine says that acceptance is simulated for benchmarks.

Why it matters
Acceptance then looks as good as it was asked to, and the text is not the target's.

What to do
Remove the setting from production; throw away measurements made with it.

How it can be wrong
Nothing: the engine says so itself.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD421",
    name="synthetic-announced",
    table="synthetic",
    needs=("found",),
    judged=pl.col("found").is_not_null(),
    fault=pl.col("found"),
    read=counted("inputs announce synthetic acceptance"),
    laws=None,
    shows=("what",),
)
