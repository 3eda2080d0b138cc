"""Uniform draws repeat more often than chance allows.

What it finds
Equal values at tested positions of one request, or of requests that do not share a user seed, beyond the birthday
expectation for the number of values that the generator has.

Why it matters
Acceptance is no longer independent: with one draw a step it rises by several points, and the text is biased.

What to do
Draw afresh for every position and request; look for a reseeded generator or a captured graph that replays its draws.

How it can be wrong
Requests that share a seed, and requests without a line (their seed is unknown), may repeat each other lawfully: such
pairs are not counted.
"""

from dataclasses import replace

import polars as pl

from sdtrace.finding import Check, Counts, Outcome, counted


def _read(counts: Counts) -> Outcome:
    """The usual reading, with the numbers of pairs in the headline."""
    outcome = counted("runs repeat their uniform draws")(counts)
    if not counts.witnesses:
        return outcome
    seen = counts.witnesses[0]
    pairs = seen["pairs_within"] + seen["pairs_across"]
    return replace(
        outcome,
        faults=pairs,
        headline=f"{pairs:,} pairs of equal uniforms among {seen['n']:,}, {seen['expected']:.2g} expected",
    )


CHECK = Check(
    code="SD171",
    name="repeated-uniforms",
    table="uniforms",
    needs=(),
    judged=pl.col("n") >= 2,
    fault=pl.col("pairs_within") + pl.col("pairs_across")
    > 1.5 * pl.col("expected") + 5 * pl.col("expected").sqrt() + 3,
    read=_read,
    laws=None,
    shows=("n", "pairs_within", "pairs_across", "expected"),
)
