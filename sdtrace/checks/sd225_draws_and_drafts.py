"""Uniform draws depend on the drafted tokens that they test.

What it finds
A uniform of the test is independent of the token that was drafted. Its correlation with the place of that token is 0: by id, which
is the order of an inverse-CDF sampler, and by q, which is that of a sampler that sorts first. Where the uniforms are not
logged, accepted minus chance takes their place.

Why it matters
The uniform that drew the token tells which token it was: likely ones and unlikely ones are then tested with other draws than the law
asks for, and the text is biased.

What to do
Give the draft's sampler and the test streams of their own; look for one offset, or one generator state, used by both kernels.

How it can be wrong
Engines that couple draft and target on purpose verify by match, and are not looked at.
"""

import polars as pl

from sdtrace.results.check import Check
from sdtrace.stats.calibration import Words, calibrated
from sdtrace.verify.laws import where

CHECK = Check(
    code="SD225",
    name="draws-and-drafts",
    table="evidence",
    needs=("draft_probs",),
    judged=pl.lit(value=True),
    fault=pl.lit(value=False),
    read=calibrated(
        Words("the product of draws and places of the drafted token", "tested positions", ""),
        parts=("order", "accepted"),
    ),
    laws=where(lambda law: law.lossless and law.draft == "sampled"),
    tests=3,
)
