"""Every token of a sampled response has log probability 0.

What it finds
Responses at a temperature of 0.3 or more whose logprobs are all exactly 0, with nothing beside the emitted token.

Why it matters
The distribution that was compared is one-hot where a model's cannot be, or logprobs are not filled in under speculation
(llama.cpp#27972): a record of nothing.

What to do
Ask the same with speculation off. If the logprobs differ there, they or the target's rows are wrong.

How it can be wrong
Very sharp text (copies, a top-k of 1) has probability 1 token after token.
"""

import polars as pl

from sdtrace.responses.outcomes import identity
from sdtrace.results.check import Check

CHECK = Check(
    code="SD306",
    name="one-hot-responses",
    table="responses",
    needs=(),
    judged=pl.lit(value=True),
    fault=pl.lit(value=False),
    read=identity("one-hot", "have log probability 0 at a temperature above 0", 64),
)
