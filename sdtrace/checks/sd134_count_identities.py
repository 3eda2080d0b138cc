"""The counts of one step contradict each other.

What it finds
num_accepted above verified_len, verified_len above the draft, or num_accepted against the recorded decisions.

Why it matters
Every figure that is added up from these counts is wrong by an unknown amount.

What to do
Mend the recorder, then judge again; see which of the counts the engine itself uses.

How it can be wrong
Decisions recorded with holes are SD103, not this.
"""

import polars as pl

from sdtrace.results.check import Check, counted

# every decision up to num_accepted says yes although the draft was not used up: num_accepted is too small
_FLAGS = (
    (pl.col("n_a") >= 0)
    & (pl.col("n_a") < pl.col("verified"))
    & (pl.col("by_flags") > pl.col("n_a"))
    & ~pl.col("is_last")
    & pl.col("stop_at").is_null()
).fill_null(value=False)

CHECK = Check(
    code="SD134",
    name="count-identities",
    table="steps",
    needs=(),
    judged=pl.col("recorded").is_not_null() & (pl.col("tau") > 0),
    fault=(pl.col("recorded") > pl.col("verified"))
    | (pl.col("verified_len") > pl.col("tau")).fill_null(value=False)
    | _FLAGS,
    read=counted("steps hold counts that contradict each other"),
    laws=None,
    shows=("recorded", "verified", "tau"),
)
