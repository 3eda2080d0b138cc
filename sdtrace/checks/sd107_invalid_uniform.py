"""A recorded uniform draw is NaN, infinite or outside [0, 1].

What it finds
uniforms at tested positions.

Why it matters
A decision against such a number is no draw at all.

What to do
Check the generator and the buffer that the draws are read from.

How it can be wrong
A recorder that writes a transformed draw (its logarithm, say) under this name.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD107",
    name="invalid-uniform",
    table="steps",
    needs=("uniforms",),
    judged=pl.col("uniforms").list.len() > 0,
    fault=pl.col("bad_r") > 0,
    read=counted("steps hold a uniform outside [0, 1]"),
    laws=None,
    shows=("bad_r",),
)
