"""Sampled tokens lie beyond what top-k, top-p or min-p leave.

What it finds
Emitted tokens that the request's own cuts must have removed, again and again, under every reading of the logprobs.

Why it matters
The cut was not applied where the token came from: to the recovered token, to the bonus token, or to the draft alone.

What to do
Apply the same cuts to the target before the test, the recovery and the bonus token.

How it can be wrong
Engines cut in different orders: a token counts only where no order keeps it, and one in five hundred is borne with.
"""

import polars as pl

from sdtrace.responses.outcomes import weighed
from sdtrace.results.check import Check

CHECK = Check(
    code="SD305",
    name="beyond-the-cut-response",
    table="responses",
    needs=(),
    judged=pl.lit(value=True),
    fault=pl.lit(value=False),
    read=weighed("cut", "tokens beyond the cuts"),
)
