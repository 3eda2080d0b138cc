"""Uniform draws repeat more often than chance allows.

What it finds
Equal values at tested positions of one request, or of requests that do not share a user seed, beyond the birthday
expectation for the number of values that the generator has; and equal pairs of neighbours within a step, which tell a
sequence that is used again where the values of a coarse generator repeat by themselves.

Why it matters
Acceptance is no longer independent: with one draw a step it rises by several points, and the text is biased.

What to do
Draw afresh for every position and request; look for a reseeded generator or a captured graph that replays its draws.

How it can be wrong
Requests that share a seed, and requests without a line (their seed is unknown), may repeat each other lawfully, and so may ranks
whose engines were started with one seed, and requests that were run again: such pairs are not counted.
"""

from dataclasses import replace
from typing import Any

import polars as pl

from sdtrace.results.check import Check, Counts, Outcome, counted


def _read(counts: Counts) -> Outcome:
    """The usual reading, with the numbers of pairs in the headline."""
    outcome = counted("runs repeat their uniform draws")(counts)
    if not counts.witnesses:
        return outcome
    seen = counts.witnesses[0]
    pairs = seen["pairs_within"] + seen["pairs_across"]
    if not _beyond(pairs, seen["expected"]):
        said = f"{seen['tuples']:,} times two neighbouring uniforms repeat, {seen['tuples_expected']:.2g} expected"
        return replace(outcome, faults=seen["tuples"], headline=said)
    return replace(
        outcome,
        faults=pairs,
        headline=f"{pairs:,} pairs of equal uniforms among {seen['n']:,}, {seen['expected']:.2g} expected",
    )


def _beyond(pairs: Any, expected: Any) -> Any:
    """More than a birthday coincidence, of numbers or of columns."""
    return pairs > 1.5 * expected + 5 * expected**0.5 + 3


CHECK = Check(
    code="SD171",
    name="repeated-uniforms",
    table="uniforms",
    needs=(),
    judged=pl.col("n") >= 2,
    fault=_beyond(pl.col("pairs_within") + pl.col("pairs_across"), pl.col("expected"))
    | _beyond(pl.col("tuples"), pl.col("tuples_expected")),
    read=_read,
    laws=None,
    shows=("n", "pairs_within", "pairs_across", "expected", "tuples", "tuples_expected"),
)
