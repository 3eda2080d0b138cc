"""The steps of a request do not add up to its output.

What it finds
output_len is neither the sum of what its steps appended nor that plus the token of prefill: less than the sum by more than
a block and a stop string, or more though the last step holds the stop id.

Why it matters
Tokens were lost or doubled between steps.

What to do
Compare the output with the steps; if the recorder samples steps, leave output_len out.

How it can be wrong
Requests whose steps are not all in the trace are not looked at, nor aborted ones. A trace that was cut, by a crash or by
`head`, lacks the last steps of a request: too few tokens prove nothing unless the request is seen to end. A stop string
or max_tokens may cut the answer behind the engine: a block, and 16 tokens for the string, are not missed.
"""

import polars as pl

from sdtrace.results.check import Check, counted

_WHOLE = (
    pl.col("output_len").is_not_null()
    & (pl.col("known_appended") + pl.col("idle") == pl.col("steps"))
    & (pl.col("min_step") == 0)
    & (pl.col("max_step") + 1 == pl.col("steps"))
    & ~pl.col("finish_reason").is_in(["abort", "error"]).fill_null(value=False)
)

_FEWER = pl.col("output_len") > pl.col("appended") + 1
_ENDS = (pl.col("stop_step") == pl.col("max_step")).fill_null(value=False)
#: Tokens of a stop string that stand before the last block, at the most.
_STRING = 16
# what lies between the sum and the output was cut behind the engine
_CUT = pl.col("most") + pl.when(pl.col("finish_reason") == "length").then(0).otherwise(_STRING)

CHECK = Check(
    code="SD133",
    name="output-length",
    table="requests",
    needs=("output_len",),
    judged=_WHOLE & (~_FEWER | _ENDS),
    fault=_FEWER | (pl.col("output_len") < pl.col("appended") - _CUT),
    read=counted("requests do not add up to their output length", clear="requests match their output length"),
    laws=None,
    shows=("output_len", "appended"),
)
