"""First tokens of steps do not follow the recorded p.

What it finds
Under every lossless law, known or not, the first token that a step appends follows p of its first position: the means
of p(y) - sum p^2 and of min(1, q/p)(y) - sum min(p, q) are 0. Read where the law is unknown or is block verification.

Why it matters
It needs no knowledge of the verification law.

What to do
Declare the law in the run line: sharper tests follow.

How it can be wrong
As for emitted calibration.
"""

import polars as pl

from sdtrace.results.check import Check
from sdtrace.stats.calibration import Words, calibrated

CHECK = Check(
    code="SD241",
    name="first-token",
    table="evidence",
    needs=("target_probs", "last_target_prob", "target_sq", "overlap"),
    judged=pl.lit(value=True),
    fault=pl.lit(value=False),
    read=calibrated(Words("p at the first emitted token", "steps"), parts=("overlap",), unit=True),
    laws=None,
    tests=2,
)
