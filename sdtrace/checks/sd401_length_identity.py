"""The printed mean length is not one plus the sum of the rates by position.

What it finds
Windows that print a mean length and a rate for every position, where the two do not agree within their rounding.

Why it matters
Both come from the same counts: a step accepts on average the sum of its marginal rates, and appends one token more. If they
differ, one of the two is of another traffic or another definition.

What to do
Trust the counts (accepted, drafted), not the means. See the engine's release: the length of vLLM 0.8.5 leaves the bonus out.

How it can be wrong
A list that the engine cuts off (few positions printed of a long draft) sums to less; a padded list does not.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD401",
    name="length-identity",
    table="windows",
    needs=("said_positions", "length"),
    judged=pl.col("said_positions").is_not_null()
    & pl.col("length").is_not_null()
    & (pl.col("said_positions").list.len() > 0),
    fault=(pl.col("length") - 1 - pl.col("said_positions").list.sum()).abs()
    > 0.0102 + 0.0005 * pl.col("said_positions").list.len(),
    read=counted("windows print a mean length that the rates by position contradict"),
    laws=None,
    shows=("engine", "surface", "said_length", "length"),
)
