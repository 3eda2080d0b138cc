"""Rows of a batch seem to share their uniform draws.

What it finds
Accepted - expected, added over the rows of one engine step at each position, spreads more than its variance: the rows of a batch are
lucky or unlucky together. No uniform is needed; rows belong together by `engine_step`, else by `at`, and by rank.

Why it matters
One row of draws is broadcast over the batch: outputs of different requests depend on each other.

What to do
Draw a row of uniforms for every row of the batch.

How it can be wrong
A record that holds the same rows twice, and requests that share a user seed and started together; without request lines the
check cannot tell.
"""

import polars as pl

from sdtrace.results.check import Check
from sdtrace.stats.calibration import spread
from sdtrace.verify.laws import where

CHECK = Check(
    code="SD224",
    name="shared-in-batch",
    table="step_lanes",
    needs=("target_probs", "at"),
    judged=pl.lit(value=True),
    fault=pl.lit(value=False),
    read=spread("engine steps and positions", "too few rows share an engine step"),
    laws=where(lambda law: law.quotient),
    tests=1,
)
