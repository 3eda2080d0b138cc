"""All drafted tokens were accepted and no bonus token was appended.

What it finds
A step that accepted everything it verified and appended only that, although its request goes on.

Why it matters
Each such step loses a token that the verification has already paid for.

What to do
Append the token drawn from the target behind the last drafted one (old vLLM left it out for a missing KV entry).

How it can be wrong
The last step of a request, or one with a stop id, may be cut there lawfully: those are not looked at.
"""

import polars as pl

from sdtrace.results.check import Check, counted
from sdtrace.verify.positions import TURN_ENDS

_WHOLE = ~pl.col("is_last") & pl.col("stop_at").is_null() & pl.col("appended").is_not_null() & ~TURN_ENDS
CHECK = Check(
    code="SD121",
    name="bonus-missing",
    table="steps",
    needs=("output_token_ids",),
    judged=_WHOLE & (pl.col("n_a") == pl.col("verified")) & (pl.col("verified") > 0),
    fault=pl.col("appended") == pl.col("n_a"),
    read=counted("fully accepted steps lack the bonus token"),
    laws=None,
    shows=(),
)
