"""Sampled tokens are more or less probable than a sample of the distribution is.

What it finds
The tokens follow a sharper or flatter power of the listed distribution, as an e-value against the listed one.

Why it matters
A temperature that is ignored, applied twice or applied to one side only changes every token a little; so does a
verifier that accepts too much.

What to do
Compare the engine at two temperatures, with and without speculation.

How it can be wrong
As calibrated-ranks: the basis of the logprobs is tried in every way that the engine can mean.
"""

import polars as pl

from sdtrace.responses.outcomes import weighed
from sdtrace.results.check import Check

CHECK = Check(
    code="SD304",
    name="surprisal",
    table="responses",
    needs=(),
    judged=pl.lit(value=True),
    fault=pl.lit(value=False),
    read=weighed("surprisal", "surprisals"),
)
