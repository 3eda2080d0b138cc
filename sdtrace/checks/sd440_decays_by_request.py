"""Acceptance falls with the prompt, with what of it came from the prefix cache, with the context, or with the load.

What it finds
Requests of a log whose longest third (by prompt tokens, or by cached ones) has at most 65% of the shortest third's acceptance, where
80% are ruled out at 1%; ten requests and 200 steps a third, the longest four times as long. The same of windows by running requests
(where load rises and falls at least twice), and by tokens of context a request (SGLang prints them).

Why it matters
A drafter that was trained on short contexts, or whose own cache does not come with the prefix, is of no use where it is needed
most. Acceptance that falls under load, again and again, is no property of a drafter: each request is drafted for by itself.

What to do
Check the drafter's maximum position and RoPE scaling; for cached tokens, switch prefix caching off for a test; for load, send
the same requests one at a time.

How it can be wrong
Long prompts can be another task. Below 50% that is hardly all of it; between 50% and 65% it is a suspicion only.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD440",
    name="decays-by-request",
    table="series",
    needs=("accepted",),
    judged=pl.col("decays").is_not_null(),
    fault=pl.col("decays"),
    read=counted("engines accept less of longer requests, or under load"),
    laws=None,
    shows=("engine", "surface", "drafted", "accepted", "tokens_per_step"),
)
