"""The printed acceptance rate is not accepted over drafted.

What it finds
Windows that print a rate and both counts, where the rate is not their ratio within its rounding.

Why it matters
Dashboards show the rate. If it is not the ratio of the counts beside it, numerator and denominator come from different steps.

What to do
Compute the rate from the counts. TensorRT-LLM before PR 17082 took them from different steps.

How it can be wrong
A rate over assumed drafts (SGLang: verifications times the configured number) is another definition and is not judged here.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD402",
    name="rate-identity",
    table="windows",
    needs=("said_rate", "accepted", "drafted"),
    judged=pl.col("said_rate").is_not_null()
    & pl.col("accepted").is_not_null()
    & pl.col("drafted").is_not_null()
    & (pl.col("drafted") > 0)
    & (pl.col("engine") != "sglang"),
    fault=(pl.col("said_rate") - pl.col("accepted") / pl.col("drafted")).abs()
    > pl.when(pl.col("engine") == "ollama").then(0.0051).otherwise(0.00051),
    read=counted("windows print a rate that their counts contradict"),
    laws=None,
    shows=("engine", "surface", "said_rate", "accepted", "drafted"),
)
