"""Acceptance fell and stayed low.

What it finds
A series (an engine, a rank, a process) whose acceptance fell to half of what it was or less, at once or over hours, and stayed there.

Why it matters
What was healthy before disproves what was there from the start: another vocabulary, other weights, a drafter that does not fit.

What to do
Look at what happened at the time named: errors, a deploy, a cache transfer, other requests.

How it can be wrong
Traffic can change as suddenly as an engine. Where the draft length changed at the same time and the first position is accepted
as before, nothing is said. The chance of a false change is shared among all figures of all series.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD438",
    name="acceptance-fell",
    table="falls",
    needs=("fell",),
    judged=pl.col("fell").is_not_null(),
    fault=pl.col("fell"),
    read=counted("series accept half or less of what they did"),
    laws=None,
    shows=("what",),
)
