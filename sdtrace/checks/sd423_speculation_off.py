"""Speculation is configured and does nothing.

What it finds
A log that says that speculation was switched off, or that configures it and then generates without drafting.

Why it matters
The server runs at the speed of plain decoding, or below it, and nothing alarms.

What to do
See why the engine disabled it (an incompatible feature, a gate, a batch limit) and decide for one of the two.

How it can be wrong
llama.cpp prints nothing for requests in which nothing was drafted; a drafter that never finds a match is on, and useless.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD423",
    name="speculation-off",
    table="off",
    needs=("found",),
    judged=pl.col("found").is_not_null(),
    fault=pl.col("found"),
    read=counted("inputs configure speculation that does nothing"),
    laws=None,
    shows=("what",),
)
