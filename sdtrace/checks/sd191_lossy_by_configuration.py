"""The run declares a rule that does not keep the target's distribution.

What it finds
rule is typical, relaxed, lenient or synthetic, or a threshold below 1 stands in rule_params.

Why it matters
Such a run is fast but does not answer as the target model would, by choice or by a forgotten flag.

What to do
Use a lossless rule where the text must follow the target.

How it can be wrong
The line may describe an experiment; then the finding is what was wanted.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD191",
    name="lossy-by-configuration",
    table="runs",
    needs=(),
    judged=pl.col("lossless").is_not_null(),
    fault=~pl.col("lossless"),
    read=counted("runs declare a lossy rule"),
    laws=None,
    shows=("rule",),
)
