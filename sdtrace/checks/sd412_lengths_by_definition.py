"""Two sources print different mean lengths for the same counts.

What it finds
Two surfaces that agree on drafted and accepted tokens and print mean lengths that differ by about one, or by a fixed rule.

Why it matters
Nothing is wrong with the traffic: the same words have two definitions, and a dashboard shows a step where there is none.

What to do
Compare by the report's own definition; the table of definitions converts.

How it can be wrong
Means over windows and over requests differ a little for the same counts; a difference below five percent is not told.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD412",
    name="lengths-by-definition",
    table="pairs",
    needs=("said_one", "said_other"),
    judged=pl.col("same") & pl.col("said_one").is_not_null() & pl.col("said_other").is_not_null(),
    fault=((pl.col("accepted_one") - pl.col("accepted_other")).abs() <= 0.02 * pl.col("accepted_one") + 2)
    & ((pl.col("said_one") - pl.col("said_other")).abs() > 0.05 * pl.col("said_one")),
    read=counted("pairs of sources print other lengths for the same counts"),
    laws=None,
    shows=("engine", "one", "other", "said_one", "said_other", "conversion"),
)
