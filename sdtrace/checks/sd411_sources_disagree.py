"""Two sources drafted the same tokens and accepted different ones.

What it finds
Two surfaces of one engine that agree on drafted tokens and differ in accepted ones.

Why it matters
They speak of the same steps. One of the two counters is wrong, and a decision made on it as well.

What to do
Trust the one nearer to single decisions (rounds, then requests). llama.cpp's statistics line counts replays on recurrent
targets as accepted.

How it can be wrong
Two stretches of traffic can draft the same number by chance; half a percent is close enough to rule that out with large counts.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD411",
    name="sources-disagree",
    table="pairs",
    needs=("accepted_one", "accepted_other"),
    judged=pl.col("same") & (pl.col("drafted") > 0),
    fault=(pl.col("accepted_one") - pl.col("accepted_other")).abs()
    > 0.02 * pl.max_horizontal("accepted_one", "accepted_other") + 2,
    read=counted("pairs of sources agree on what was drafted and not on what was accepted"),
    laws=None,
    shows=("engine", "one", "other", "drafted", "accepted_one", "accepted_other", "replayed"),
)
