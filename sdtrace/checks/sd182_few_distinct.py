"""The output of a sampled request has few distinct stretches of tokens.

What it finds
Of at least 128 stretches of four appended ids, fewer than a fifth differ (distinct-n, Li et al. 2016), whether they stand in
one loop or not. The witness shows how the request ended: degenerate outputs usually run into max_tokens.

Why it matters
Repetition raises acceptance, so every speed figure looks better while the text is worthless.

What to do
Run the same prompts without speculation; if they do not repeat themselves there, suspect the state after rejected tokens.

How it can be wrong
A prompt may ask for repetition (tables, lists); ids of a very small vocabulary repeat by themselves. At temperature 0
models repeat by themselves (Holtzman et al. 2020): not judged there.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD182",
    name="few-distinct",
    table="requests",
    needs=(),
    judged=(pl.col("grams") >= 128)
    & ~pl.col("law").is_in(["greedy", "greedy?"])
    & (pl.col("temperature") > 0).fill_null(value=True),
    fault=pl.col("distinct") < 0.2 * pl.col("grams"),
    read=counted("sampled requests have few distinct stretches of tokens"),
    laws=None,
    shows=("distinct", "grams", "finish_reason"),
)
