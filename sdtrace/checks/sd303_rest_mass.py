"""Sampled tokens are none of the listed top k too often.

What it finds
More tokens outside the top k than the probability that the list leaves to all others, as an e-value.

Why it matters
It is the mark of tokens that were drawn from something else: another row, a stale distribution, an uninitialised
temperature, swapped ids. The text is garbage while acceptance looks excellent.

What to do
Run the same prompts at temperature 0 and with speculation off. If the check is clear there, look at how temperature and logits
reach the verifier.

How it can be wrong
At temperatures other than 1 the mass of what is not listed is known within bounds only; the upper one is used.
"""

import polars as pl

from sdtrace.responses.outcomes import weighed
from sdtrace.results.check import Check

CHECK = Check(
    code="SD303",
    name="rest-mass",
    table="responses",
    needs=(),
    judged=pl.lit(value=True),
    fault=pl.lit(value=False),
    read=weighed("rest", "tokens outside the listed ones"),
)
