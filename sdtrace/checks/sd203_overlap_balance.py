"""Drafted and emitted tokens disagree on how much p and q overlap.

What it finds
min(1, p/q) at the drafted token and min(1, q/p) at the emitted one both have the overlap of p and q as their mean;
their difference has mean 0 under any lossless law with a sampled draft.

Why it matters
It does not look at decisions, so it sees a wrong draft or a wrong recovery even where acceptance was forced to look
right.

What to do
As for reverse calibration: first the draft's distribution, then the residual.

How it can be wrong
As for reverse calibration.
"""

import polars as pl

from sdtrace.results.check import Check
from sdtrace.stats.calibration import Words, calibrated
from sdtrace.verify.laws import where

CHECK = Check(
    code="SD203",
    name="overlap-balance",
    table="evidence",
    needs=("target_probs", "draft_probs", "last_target_prob", "last_draft_prob"),
    judged=pl.lit(value=True),
    fault=pl.lit(value=False),
    read=calibrated(Words("overlap at emitted against drafted tokens", "emitted tokens"), unit=True),
    laws=where(lambda law: law.residual == "ratio"),
    tests=1,
)
