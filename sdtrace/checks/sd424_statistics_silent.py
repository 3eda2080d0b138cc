"""The engine says that it logs no statistics.

What it finds
A log in which statistics are disabled: with several API servers vLLM prints none.

Why it matters
No SpecDecoding line means nothing then: speculation may run well or not at all.

What to do
Scrape /metrics of every server, or run one API server, or switch on per-request metrics.

How it can be wrong
Nothing: the engine says so itself.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD424",
    name="statistics-silent",
    table="silent",
    needs=("found",),
    judged=pl.col("found").is_not_null(),
    fault=pl.col("found"),
    read=counted("inputs say that statistics are disabled"),
    laws=None,
    shows=("what",),
)
