"""Most steps run without a draft.

What it finds
An engine whose drafter is told, in which at least half of 200 steps or more had no draft; at least 70% where the drafter may hold
drafts back (a threshold of confidence) or follows a schedule.

Why it matters
Speculation speeds up the steps that draft. The others run at the speed of plain decoding, and the drafter's memory is spent for
little.

What to do
See what keeps the drafter from drafting: a limit by batch size, a schedule, a threshold of confidence, requests that exclude it.

How it can be wrong
A drafter that looks text up (n-gram, suffix) drafts only where it finds something; that is its nature, and no
finding. Where the method is not told, the share stands in the headline only.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD439",
    name="idle-speculation",
    table="series",
    needs=("accepted",),
    judged=pl.col("enough") & pl.col("series").is_null(),
    fault=pl.col("idle"),
    read=counted("engines run most of their steps without a draft"),
    laws=None,
    shows=("engine", "surface", "steps", "drafted", "accepted", "tokens_per_step"),
)
