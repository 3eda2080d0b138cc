"""What a step appended is not what it accepted.

What it finds
A position counted as accepted whose appended token is not the drafted one.

Why it matters
The output holds tokens that nobody verified at that place.

What to do
Check how accepted tokens are gathered into the output (holes of rejected tokens, shifted rows).

How it can be wrong
Where a step was cut nothing was appended at the place: not looked at.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD132",
    name="appended-tokens",
    table="positions",
    needs=("output_token_ids",),
    judged=pl.col("by_count") & (pl.col("emitted") >= 0) & (pl.col("token") >= 0),
    fault=pl.col("emitted") != pl.col("token"),
    read=counted("accepted positions append another token"),
    laws=None,
    shows=(),
)
