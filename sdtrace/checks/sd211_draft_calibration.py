"""Drafted tokens were not drawn from the recorded q.

What it finds
If x is drawn from q, the mean of q(x) - sum q^2 is 0, and so is that of min(1, p/q)(x) - sum min(p, q).

Why it matters
Acceptance against a q that the draft was not drawn from is biased however right the test is (transformers#47932).

What to do
Hand the verifier the draft distribution after temperature, top-k and top-p. If drafts are trimmed, decide before the
token is drawn: dropping unlikely tokens changes what the rest was drawn from.

How it can be wrong
draft_sq and overlap must be of the same rows and precision as q; an argmax draft under the match law is lawful and
not looked at.
"""

import polars as pl

from sdtrace.results.check import Check
from sdtrace.stats.calibration import Words, calibrated
from sdtrace.verify.laws import where

CHECK = Check(
    code="SD211",
    name="draft-calibration",
    table="evidence",
    needs=("draft_probs", "draft_sq", "overlap"),
    judged=pl.lit(value=True),
    fault=pl.lit(value=False),
    read=calibrated(Words("q at the drafted token", "drafted tokens"), parts=("overlap",), unit=True),
    laws=where(lambda law: law.lossless and law.draft == "sampled"),
    tests=2,
)
