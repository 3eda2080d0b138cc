"""A later position is accepted more often than an earlier one.

What it finds
Rates or counts by position that rise: a step that accepts position j has accepted every one before it.

Why it matters
Marginal rates can only fall. If they rise, positions are mixed up, or the numbers are conditional rates under a marginal name.

What to do
Do not use the list; take the mean length from the counts.

How it can be wrong
Rates rounded to three digits may rise by one digit; that much is allowed.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD404",
    name="positions-rise",
    table="windows",
    needs=("said_positions", "accepted_by_position"),
    judged=(pl.col("said_positions").list.len() > 1).fill_null(value=False)
    | (pl.col("accepted_by_position").list.len() > 1).fill_null(value=False),
    fault=(pl.col("said_positions").list.diff().list.max() > 0.0011).fill_null(value=False)
    | (pl.col("said_positions").is_null() & (pl.col("accepted_by_position").list.diff().list.max() > 0.5)).fill_null(
        value=False
    ),
    read=counted("windows accept a later position more often than an earlier one"),
    laws=None,
    shows=("engine", "surface", "said_positions"),
)
