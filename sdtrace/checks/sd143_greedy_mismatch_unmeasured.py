"""At temperature 0 many decisions do not follow the argmax, and no gap is logged to excuse them.

What it finds
More mismatches between decisions and argmax than numerical ties can be (over 2% of tested positions), in a trace
without target_top2_gap.

Why it matters
Ties happen in about a percent of positions at most; more than that is another rule.

What to do
Log target_top2_gap: it tells ties from faults one by one.

How it can be wrong
A model quantised so hard that ties are common.
"""

from dataclasses import replace

import polars as pl

from sdtrace.results.check import Check, Counts, Outcome, counted
from sdtrace.results.words import State
from sdtrace.verify.laws import where

_NO_GAP = pl.col("decision") == 0


def _read(counts: Counts) -> Outcome:
    """Mismatches beyond 2% by more than five standard deviations; fewer may be ties."""
    n, k = counts.total, counts.faults
    limit = 0.02 * n + 5 * (0.02 * 0.98 * n) ** 0.5 + 3
    outcome = counted(
        "decisions do not follow the argmax (no gap logged)", clear="decisions follow the argmax (no gap logged)"
    )(counts)
    if k <= limit:
        state: State = "clear" if counts.total and not k else "cannot-tell"
        headline = "none" if state == "clear" else f"{k:,} mismatches may be numerical ties; log target_top2_gap"
        return replace(outcome, state=state, headline=headline, faults=0, witnesses=())
    return outcome


CHECK = Check(
    code="SD143",
    name="greedy-mismatch-unmeasured",
    table="positions",
    needs=("target_argmax_ids",),
    judged=pl.col("tested") & (pl.col("argmax") >= 0) & (pl.col("token") >= 0) & _NO_GAP,
    fault=(pl.col("token") == pl.col("argmax")) != pl.col("accepted"),
    read=_read,
    laws=where(lambda law: law.greedy),
    shows=("argmax",),
)
