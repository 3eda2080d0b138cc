"""Uniform draws are not uniform.

What it finds
The first four Legendre moments of r at tested positions, each 0 with variance 1 given all that was known before the
draw (Neyman's smooth test). Moments do not care how r was rounded.

Why it matters
The law is only as good as its coin: an r that leans low accepts too much although every decision agrees with it.

What to do
Look at the generator and at how its integers become floats; log r as it is compared.

How it can be wrong
Draws recorded only for some outcomes (r of accepted tokens alone) are not uniform.
"""

import polars as pl

from sdtrace.results.check import Check
from sdtrace.stats.calibration import Words, calibrated
from sdtrace.verify.laws import where

CHECK = Check(
    code="SD221",
    name="uniform-draws",
    table="evidence",
    needs=("uniforms",),
    judged=pl.lit(value=True),
    fault=pl.lit(value=False),
    read=calibrated(Words("the mean of r, in units of its spread,", "uniform draws", ""), parts=("2", "3", "4")),
    laws=where(lambda law: law.lossless and law.draws),
    tests=4,
)
