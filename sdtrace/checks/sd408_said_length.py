"""The printed mean length is not one plus accepted over steps.

What it finds
Records that print a mean acceptance length beside the counts that it should follow from, and differ by more than rounding.

Why it matters
The length is the headline of every dashboard. If it does not follow from the counts beside it, it is of other steps.

What to do
Compute it from the counts, 1 + accepted / steps. See whether the writer means requests where it says tokens.

How it can be wrong
Only engines whose length has this definition are judged; SGLang's request length (tokens over verifications) is not.
"""

import polars as pl

from sdtrace.results.check import Check, counted

_DEFINED_SO = (
    (pl.col("engine") == "vllm") & (pl.col("surface") == "response metrics")
    | pl.col("engine").is_in(["aiperf", "tensorrt-llm"])
    | (pl.col("engine") == "llama.cpp") & (pl.col("surface") == "request")
)

CHECK = Check(
    code="SD408",
    name="said-length",
    table="windows",
    needs=("said_length", "accepted", "drafts"),
    judged=pl.col("said_length").is_not_null()
    & pl.col("accepted").is_not_null()
    & (pl.col("drafts") > 0)
    & _DEFINED_SO,
    fault=(pl.col("said_length") - 1 - pl.col("accepted") / pl.col("drafts")).abs() > 0.0051,
    read=counted("windows print a mean length that their counts contradict"),
    laws=None,
    shows=("engine", "surface", "said_length", "accepted", "drafts"),
)
