"""The engine announces a lossy acceptance rule.

What it finds
A log in which the engine is configured with a rule that does not keep the target's distribution.

Why it matters
The text does not follow the target model, by configuration.

What to do
Set the lossless rule where the text must be the target's.

How it can be wrong
Nothing: the engine says so itself.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD422",
    name="lossy-announced",
    table="lossy",
    needs=("found",),
    judged=pl.col("found").is_not_null(),
    fault=pl.col("found"),
    read=counted("inputs announce a lossy acceptance rule"),
    laws=None,
    shows=("what",),
)
