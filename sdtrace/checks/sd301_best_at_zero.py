"""A token at temperature 0 is not the best one of its row.

What it finds
Responses with logprobs at temperature 0 in which a listed token stands above the emitted one by more than a near tie
(0.25 nats and the rounding).

Why it matters
At temperature 0 the text is the model's best token, with and without speculation. A gap says that the verifier compared
other ids, read another row, or that another row's logprobs were handed out.

What to do
Send the named request again with speculation off. Compare the token at the first gap.

How it can be wrong
A penalty that the server fills in by itself (generation_config.json) lowers tokens that came before: those are not held
against it unless the request says that there is no penalty. Forced tokens (grammar, tools, min_tokens, logit_bias) are not looked at.
"""

import polars as pl

from sdtrace.responses.outcomes import best_at_zero
from sdtrace.results.check import Check

CHECK = Check(
    code="SD301",
    name="best-at-zero",
    table="responses",
    needs=(),
    judged=pl.lit(value=True),
    fault=pl.lit(value=False),
    read=best_at_zero,
)
