"""context_len does not advance by what was appended.

What it finds
Neighbouring steps of a request between which context_len grows by another number than the first of them appended.

Why it matters
The engine and its record count the sequence differently: positions, the KV cache or the appended tokens are off.

What to do
Compare context_len of the steps named with output_token_ids; see whether rejected tokens are taken off again.

How it can be wrong
Where most steps are off the column counts something else (computed or reserved entries), and nothing is judged. Steps
without a draft, a context that shrinks (preemption) and steps behind a stop id (sessions) are not looked at.
"""

from dataclasses import replace

import polars as pl

from sdtrace.results.check import Check, Counts, Outcome, counted

#: Above this share of the steps the column is taken to mean something else; below FEW steps it may be a slip.
MEANT, FEW = 0.6, 3


def _read(counts: Counts) -> Outcome:
    outcome = counted("steps are followed by a context that grew by another number of tokens")(counts)
    if not counts.faults:
        return outcome
    if counts.faults < FEW or counts.faults > MEANT * counts.examined:
        said = "context_len counts something else here" if counts.faults >= FEW else "too few to tell"
        return replace(outcome, state="cannot-tell", headline=said, faults=0, witnesses=())
    return outcome


# a request without a line may be a session: more than a step can append is the next turn
_TURN = pl.col("has_request").is_null() & (pl.col("jump") > pl.col("tau") + 1)

CHECK = Check(
    code="SD138",
    name="context-advance",
    table="steps",
    needs=("context_len", "output_token_ids"),
    judged=pl.col("jump").is_not_null() & pl.col("stop_at").is_null() & ~_TURN,
    fault=pl.col("jump") != 0,
    read=_read,
    laws=None,
    shows=("jump", "context_len", "appended"),
)
