"""One engine, rank, pod, replica or slot accepts far less than its siblings.

What it finds
A series with at most 65% of the acceptance of the median of its siblings (a slot: 40%), where 80% of theirs are ruled out.
Neighbouring windows count as one, requests as clusters, and false discoveries over all series are held at 1%.

Why it matters
Siblings run the same drafter on the same traffic. What one of them alone lacks is its own fault: its state, its weights, its device.

What to do
Take it out of the rotation and restart it. Compare its start-up lines and versions with those of another engine.

How it can be wrong
A router that gives one of them other traffic (another tenant, another language): compare what they were asked.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD436",
    name="series-outlier",
    table="series",
    needs=("accepted",),
    judged=pl.col("enough") & pl.col("series").is_not_null(),
    fault=pl.col("series-outlier"),
    read=counted("series accept far less than their siblings"),
    laws=None,
    shows=("engine", "surface", "series", "steps", "drafted", "accepted", "tokens_per_step", "siblings"),
)
