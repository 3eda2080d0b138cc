"""Tokens are accepted more or less often than p and q say.

What it finds
Over tested positions the mean of accepted - min(1, p/q) is 0 under the law, with variance b (1 - b) a position
(Leviathan et al. 2023; no uniform is needed). Looked at as a whole, in ten bins of the chance, and with the weights that see
best a lenient test, a share of acceptances that is forced, and one draw for a whole step; the one that sees most says
which of them it is.

Why it matters
Under a correct residual this mean is the total-variation distance of the emitted token from the target, per tested
position: the speed that was bought with it is bias.

What to do
More: look for a threshold below its lossless value, a forced acceptance, draws used twice. Less: for sampling
parameters on one side of the ratio.

How it can be wrong
p and q logged before temperature, top-k or top-p; a recorder that leaves positions out because of how they ended.
Where the draft is sampled, a match engine may couple both draws, and is not looked at.
"""

import polars as pl

from sdtrace.results.check import Check
from sdtrace.stats.calibration import Words, calibrated
from sdtrace.verify.laws import where

CHECK = Check(
    code="SD201",
    name="acceptance-calibration",
    table="evidence",
    needs=("target_probs",),
    judged=pl.lit(value=True),
    fault=pl.lit(value=False),
    read=calibrated(
        Words("the rate of acceptance", "tested positions"), by_bins=True, parts=("lenience", "forced", "reuse")
    ),
    laws=where(lambda law: law.calibrated),
    tests=5,
)
