"""Listed probabilities sum to more than 1.

What it finds
Positions whose listed tokens have more than 1.01 together, beyond rounding.

Why it matters
Such logprobs are none. Nothing that is computed from them can be trusted, benchmarks and filters included.

What to do
See whether the server hands out logits, or log probabilities of several rows mixed.

How it can be wrong
Logits are told by values above 0 and are left alone.
"""

import polars as pl

from sdtrace.responses.outcomes import identity
from sdtrace.results.check import Check

CHECK = Check(
    code="SD307",
    name="improbable-sum",
    table="responses",
    needs=(),
    judged=pl.lit(value=True),
    fault=pl.lit(value=False),
    read=identity("sum", "list probabilities that sum to more than 1", 3),
)
