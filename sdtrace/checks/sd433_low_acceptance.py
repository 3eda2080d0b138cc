"""Few of the drafted tokens are accepted.

What it finds
An engine that drafted a thousand tokens or more, accepted less than a fifth of them and gains less than half a token a step by it (where
steps are counted).

Why it matters
Every rejected token cost a row of the verification and a step of the drafter. Whether that is slower than plain decoding
depends on the times, which counts do not have.

What to do
Shorten the draft to the positions that are accepted, compare tokens per second with speculation off, and see whether the drafter
fits the traffic (language, temperature, adapter) and is wired as the engine expects.

How it can be wrong
A long draft on short agreements (lookup drafters, trees) wastes many tokens and can still be faster; from 1.5 tokens per step on
that is taken for granted.
"""

import polars as pl

from sdtrace.results.check import Check, counted

#: The share of drafted tokens below which few are accepted, and the tokens per step from which that is taken for granted.
LOW, ENOUGH = 0.2, 1.5

CHECK = Check(
    code="SD433",
    name="low-acceptance",
    table="engines",
    needs=("drafted", "accepted"),
    judged=(pl.col("drafted") >= 1000) & (pl.col("accepted") > 0),
    fault=(pl.col("accepted") < LOW * pl.col("drafted")) & (pl.col("tokens_per_step").fill_null(1.0) < ENOUGH),
    read=counted("engines have less than a fifth of their drafted tokens accepted"),
    laws=None,
    shows=("engine", "surface", "drafted", "accepted", "tokens_per_step", "what"),
)
