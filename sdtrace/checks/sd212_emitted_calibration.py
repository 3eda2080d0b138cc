"""Emitted tokens do not follow the recorded p.

What it finds
Emitted tokens follow p under every lossless law, so the mean of p(y) - sum p^2 is 0, and so is that of min(1, q/p)(y)
- sum min(p, q); tokens that the target draws alone (bonus, plain) are looked at by themselves.

Why it matters
It is the promise of speculative decoding itself: the text is the target's.

What to do
Read the causes: a drafting, a deciding or a recovering fault shows here last. Alone, with bonus tokens only: the
bonus row is sampled with other parameters.

How it can be wrong
target_sq must be of the same row and precision as p. A p that is itself wrong passes: only a replay sees it.
"""

import polars as pl

from sdtrace.results.check import Check
from sdtrace.stats.calibration import Words, calibrated
from sdtrace.verify.laws import where

CHECK = Check(
    code="SD212",
    name="emitted-calibration",
    table="evidence",
    needs=("target_probs", "last_target_prob", "target_sq", "overlap"),
    judged=pl.lit(value=True),
    fault=pl.lit(value=False),
    read=calibrated(Words("p at the emitted token", "emitted tokens"), parts=("overlap", "alone"), unit=True),
    laws=where(lambda law: law.calibrated),
    tests=3,
)
