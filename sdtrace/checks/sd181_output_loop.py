"""The output of a sampled request runs in a loop.

What it finds
A stretch of at least 64 appended tokens in which every token equals the one a short period (at most 32) before it.

Why it matters
Loops raise acceptance, so every speed figure looks better while the text is worthless (vllm#44487, vllm#47087).

What to do
Run the same prompts without speculation; if they do not loop, suspect the state left behind by rejected tokens.

How it can be wrong
A prompt may ask for repetition. At temperature 0 models loop by themselves (Holtzman et al. 2020): not judged there.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD181",
    name="output-loop",
    table="requests",
    needs=(),
    judged=(pl.col("loop_seen") >= 64)
    & ~pl.col("law").is_in(["greedy", "greedy?"])
    & (pl.col("temperature") > 0).fill_null(value=True),
    fault=pl.col("loop_run") >= pl.max_horizontal(pl.lit(64), 3 * pl.col("loop_period")),
    read=counted("sampled requests run in a loop"),
    laws=None,
    shows=("loop_run", "loop_period"),
)
