"""Requests seem to share their uniform draws.

What it finds
Accepted - expected, added over requests at each place (step and position), spreads more than its variance: many requests
are lucky or unlucky at the same places. No uniform is needed.

Why it matters
The generator is seeded anew for every request, or one row of draws is broadcast over the batch: outputs of different
requests depend on each other, and samples of one prompt are no samples.

What to do
Seed once a process; draw a row of uniforms for every row of the batch.

How it can be wrong
Requests that share a user seed repeat each other lawfully: they are left out where the request line names the seed, and
without request lines the check cannot tell.
"""

import polars as pl

from sdtrace.results.check import Check
from sdtrace.stats.calibration import spread
from sdtrace.verify.laws import where

CHECK = Check(
    code="SD223",
    name="shared-draws",
    table="lanes",
    needs=("target_probs",),
    judged=pl.lit(value=True),
    fault=pl.lit(value=False),
    read=spread("places", "too few requests reach the same places"),
    laws=where(lambda law: law.quotient),
    tests=1,
)
