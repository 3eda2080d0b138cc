"""A repeating output ran into its length limit.

What it finds
Sampled requests whose output repeats itself (SD181, SD182) and that ended at max_tokens: they never came out of it. How many
requests end at the limit says nothing by itself: benchmarks often want it so.

Why it matters
A loop that a prompt asked for ends by itself; one that lasts until the limit costs the most and is worth the least.

What to do
Run the same prompts without speculation; if they end there, suspect the state after rejected tokens.

How it can be wrong
Requests that ignore the end of sequence, or limits that are very short.
"""

import polars as pl

from sdtrace.results.check import Check, counted

_LOOPS = pl.col("loop_run") >= pl.max_horizontal(pl.lit(64), 3 * pl.col("loop_period"))
_FEW = (pl.col("grams") >= 128) & (pl.col("distinct") < 0.2 * pl.col("grams"))

CHECK = Check(
    code="SD183",
    name="repeated-to-the-end",
    table="requests",
    needs=(),
    judged=(_LOOPS | _FEW)
    & pl.col("finish_reason").is_not_null()
    & ~pl.col("law").is_in(["greedy", "greedy?"])
    & (pl.col("temperature") > 0).fill_null(value=True),
    fault=pl.col("finish_reason") == "length",
    read=counted("repeating outputs ran into max_tokens"),
    laws=None,
    shows=("loop_run", "distinct", "grams", "finish_reason"),
)
