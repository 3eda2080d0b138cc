"""Speculation that mostly stands idle: steps that ran without a draft, of all steps."""

from collections.abc import Sequence
from dataclasses import dataclass

from sdtrace.counters.agreement import over_all
from sdtrace.counters.series import Tally
from sdtrace.counters.sources import CounterSource
from sdtrace.results.words import Certainty
from sdtrace.schema.trace import Event

#: Share of steps without a draft that is told of a drafter that drafts at every step, and of one that may hold back.
MOST, NEARLY_ALL = 0.5, 0.7
#: Steps that tell it.
STEPS = 200


@dataclass(frozen=True)
class Idle:
    """Of `steps` so many, `share`, had no draft. Suspected where a threshold or a schedule may want it so."""

    steps: float
    share: float
    certainty: Certainty


def idle(t: Tally, sources: Sequence[CounterSource], methods: str, events: Sequence[Event]) -> Idle | None:
    """None where most steps draft, where the drafter may look text up (no method is told), or where nothing tells of idle steps."""
    if not methods:
        return None
    mine = [
        s for s in sources if s.engine == t.engine and (whole := over_all(s, s.requests or None)) and whole[0] >= STEPS
    ]
    for source in mine:
        steps = (over_all(source, source.requests or None) or (0.0, 0.0))[0]
        share = 1 - (source.counts["drafts"] or 0.0) / steps
        free = t.engine == "llama.cpp" or any(e.kind in ("schedule", "k") for e in events)
        if share >= (NEARLY_ALL if free else MOST):
            return Idle(steps, share, "suspected" if free else "statistical")
    return None
