"""An engine printed nan where a figure belongs.

What it finds
Windows in which a printed figure is nan: nothing was drafted, or every draft was declared invalid.

Why it matters
nan in a log becomes 0 or a gap on a dashboard, and hides that speculation did nothing.

What to do
Read it as no data. Find out why nothing was drafted: a grammar that invalidates drafts, speculation off, an idle server.

How it can be wrong
vLLM 0.8.3 to 0.8.5 prints nan in every idle interval, and where speculation is off: those lines are no finding.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD406",
    name="not-a-number",
    table="windows",
    needs=("said",),
    judged=pl.col("said").is_not_null(),
    fault=pl.col("said").str.contains('"nan": true', literal=True)
    & ~pl.col("family").str.starts_with("V1 0.8").fill_null(value=False),
    read=counted("windows print nan"),
    laws=None,
    shows=("engine", "surface"),
)
