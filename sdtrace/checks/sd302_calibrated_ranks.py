"""Sampled tokens are the best one of their row too often or too rarely.

What it finds
The sum of 1[token is the best one] minus its probability, over responses with logprobs, as an e-value: a product that
exceeds a million with a chance of a millionth if the engine is right, however long one looks.

Why it matters
Tokens that are drawn from the model are its best token exactly as often as the logprobs say. Nothing of drafts, p, q or
uniforms needs to be recorded.

What to do
Run the same prompts with speculation off: `sdtrace probe URL --against URL2`. If the check is clear there, the verifier is wrong.

How it can be wrong
Logprobs may be raw, or after the temperature, or after all parameters: all that the engine can mean are tried, and the best
one counts. What a request does not say widens the bounds. Forced tokens and penalties are not held against the engine.
"""

import polars as pl

from sdtrace.responses.outcomes import weighed
from sdtrace.results.check import Check

CHECK = Check(
    code="SD302",
    name="calibrated-ranks",
    table="responses",
    needs=(),
    judged=pl.lit(value=True),
    fault=pl.lit(value=False),
    read=weighed("rank", "best tokens"),
)
