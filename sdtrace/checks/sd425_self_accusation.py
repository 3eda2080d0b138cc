"""The engine accuses itself.

What it finds
A log in which the engine says that text or speed is not what was asked for: verification that does not keep the sampling
distribution, NaN in what is sampled from, its own canary of the KV cache, drafts that run eagerly, drafters that do not fit.

Why it matters
Such a line is printed once, often at the start, and everything behind it looks healthy.

What to do
Read the line named; each cause carries the advice for its line.

How it can be wrong
It is held against the windows that follow: a drafter that "does not fit" beside half of its tokens accepted accuses nobody.
What no count can contradict stands as the engine says it.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD425",
    name="self-accusation",
    table="accusations",
    needs=("found",),
    judged=pl.col("found").is_not_null(),
    fault=pl.col("found"),
    read=counted("announcements accuse the engine that makes them"),
    laws=None,
    shows=("what",),
)
