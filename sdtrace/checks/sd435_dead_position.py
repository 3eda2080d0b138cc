"""A position is never accepted, although the one before it is.

What it finds
Counts by position in which a position is accepted in 3% at most of the steps that accepted the one before, where a working
drafter's 15% are ruled out at 1%. Steps whose draft was too short are left out.

Why it matters
Acceptance falls from position to position by a factor, never to exactly nothing: the state that the drafter carries to that position
(hidden state, KV, position id) is wrong.

What to do
Compare the drafter's second step with its first: hidden states, position ids and cache slots. Draft one token until that is mended.

How it can be wrong
An engine that caps the draft and prints the positions of the longer one; where the drafted tokens are counted, that is told apart.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD435",
    name="dead-position",
    table="series",
    needs=("accepted",),
    judged=pl.col("enough"),
    fault=pl.col("dead-position"),
    read=counted("counts, in all and by series, have a position that is never accepted"),
    laws=None,
    shows=("engine", "surface", "series", "steps", "drafted", "accepted", "tokens_per_step"),
)
