"""From an audit to verdict, causes and figures: everything the document needs, decided here and nowhere later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sdtrace.audit.audit import Audit
from sdtrace.counters.sources import CounterSource
from sdtrace.diagnosis.doubt import doubted
from sdtrace.diagnosis.from_counts import from_counts
from sdtrace.diagnosis.from_steps import from_steps
from sdtrace.diagnosis.incident import Incident, incident
from sdtrace.diagnosis.known import known_issues
from sdtrace.diagnosis.law_choice import Choice, Fit
from sdtrace.diagnosis.since import since
from sdtrace.diagnosis.track import Track, seen
from sdtrace.results.check import Check
from sdtrace.results.headline import Headline
from sdtrace.results.words import VerdictState


@dataclass(frozen=True, kw_only=True)
class Diagnosis(Track):
    """What was found: a track whose causes are dated and doubted, its incident and its verdict."""

    state: VerdictState
    headline: Headline
    sources: list[CounterSource]
    incident: Incident | None
    #: rows of `known_issues`: whose signature the input has
    known: list[dict[str, Any]]

    @property
    def choices(self) -> Mapping[str, Choice]:
        """The law of each run."""
        return self.chosen.choices


def diagnose(
    audit: Audit, checks: Sequence[Check], overridden: Mapping[str, Fit], baseline_ms: float | None = None
) -> Diagnosis:
    """Choose laws, read checks, name causes, add up the figures: from steps where there are any, else from counts.

    `overridden`: laws that took a declared one's place, by run; `baseline_ms`: a plain step, where the user knows it.
    """
    start = seen(audit, checks)
    counts_alone = audit.tally.frame("laws").is_empty()
    track = from_counts(start) if counts_alone else from_steps(start, overridden, baseline_ms)
    causes = doubted(since(track.causes, start.changes, audit.events, audit.windows), audit.inputs)
    one = incident(causes, audit, track.chosen, track.changes, track.figures_from)
    state, headline = track.judge(causes, one)
    known = known_issues(audit, causes, track.outcomes, track.acceptance, track.changes)
    told = {f.name: getattr(track, f.name) for f in fields(track)}
    return Diagnosis(
        **{**told, "causes": causes}, state=state, headline=headline, sources=start.counts, incident=one, known=known
    )
