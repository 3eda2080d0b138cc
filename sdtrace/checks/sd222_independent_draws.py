"""Neighbouring uniform draws of a step depend on each other.

What it finds
The product of 2r - 1 at neighbouring tested positions has mean 0 if the later draw is fresh.

Why it matters
One draw for several positions raises acceptance by several points.

What to do
Draw a fresh uniform for every position.

How it can be wrong
Block verification or another law under which positions are tested together.
"""

import polars as pl

from sdtrace.results.check import Check
from sdtrace.stats.calibration import Words, calibrated
from sdtrace.verify.laws import where

CHECK = Check(
    code="SD222",
    name="independent-draws",
    table="evidence",
    needs=("uniforms",),
    judged=pl.lit(value=True),
    fault=pl.lit(value=False),
    read=calibrated(Words("the product of neighbouring draws", "neighbouring pairs", "")),
    laws=where(lambda law: law.lossless and law.draws),
    tests=1,
)
