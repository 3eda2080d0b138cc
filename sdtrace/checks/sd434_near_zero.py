"""Next to no drafted token is accepted.

What it finds
Counts, in all or of one series, in which at most 3% of the drafting steps accept their first token, where a working drafter's 15%
are ruled out at 1% (an e-value of beta-binomial counts, with false discoveries held down over all series).

Why it matters
Drafting costs time and gives nothing. A drafter that is merely bad guesses frequent words rightly: next to never means that the
drafter, or its state in the engine, is broken.

What to do
Compare the drafter's start-up lines with a server that works: weights, vocabulary, hidden states, positions. A shorter draft mends
nothing.

How it can be wrong
A drafter that looks text up (n-gram, suffix) finds nothing in text without repetition; where the log does not name the method, it
looks the same.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD434",
    name="near-zero-acceptance",
    table="series",
    needs=("accepted",),
    judged=pl.col("enough"),
    fault=pl.col("near-zero"),
    read=counted("counts, in all and by series, are near zero"),
    laws=None,
    shows=("engine", "surface", "series", "steps", "drafted", "accepted", "tokens_per_step"),
)
