"""Block verification keeps prefixes more or less often than it should.

What it finds
A prefix of i drafted tokens is kept with the mean P_i, its running capped product of p/q (Sun et al. 2024), whatever
follows; the mean over a step of kept - P_i is 0. Steps are the unit.

Why it matters
It is the block law's own calibration; the ratio law's tests would accuse a correct engine.

What to do
Check the running product and the order in which thresholds are compared.

How it can be wrong
p and q must be logged at all drafted positions. Engines that clip num_accepted at the end of a request hide how it
was decided, and are not looked at.
"""

import polars as pl

from sdtrace.results.check import Check
from sdtrace.stats.calibration import Words, calibrated
from sdtrace.verify.laws import where

CHECK = Check(
    code="SD231",
    name="block-calibration",
    table="evidence",
    needs=("target_probs", "draft_probs"),
    judged=pl.lit(value=True),
    fault=pl.lit(value=False),
    read=calibrated(Words("the share of kept prefixes", "blocks"), unit=True),
    laws=where(lambda law: law.decides == "block"),
    tests=1,
)
