"""What a diagnosis is made from: two tracks of one shape, from recorded steps and from counts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sdtrace.audit.audit import Audit
from sdtrace.counters.changes import Change, changes
from sdtrace.counters.definitions import Totals
from sdtrace.counters.sources import CounterSource, sources
from sdtrace.counters.speed import Speed
from sdtrace.diagnosis.by_series.judge import Judged, judged
from sdtrace.diagnosis.chosen import Chosen
from sdtrace.diagnosis.incident import Incident
from sdtrace.results.cause import Cause
from sdtrace.results.check import Check, Outcome
from sdtrace.results.headline import Coverage, Headline
from sdtrace.results.not_checked import NotChecked
from sdtrace.results.words import VerdictState
from sdtrace.speed.timing import Timing

#: State and headline, from the causes and their incident.
Judge = Callable[[Sequence[Cause], Incident | None], tuple[VerdictState, Headline]]


@dataclass(frozen=True)
class Seen:
    """What both tracks start from: the audit, and what its windows of counts say."""

    audit: Audit
    checks: Sequence[Check]
    counts: list[CounterSource]
    series: Sequence[Judged]
    changes: list[Change]


def seen(audit: Audit, checks: Sequence[Check]) -> Seen:
    """The counts of an audit, by source and by series, and when they changed."""
    counts = sources(audit.windows)
    series = judged(audit.windows, counts, audit.events)
    return Seen(audit, checks, counts, series, changes(audit.windows, audit.events))


@dataclass(frozen=True)
class Track:
    """What one kind of evidence says; `diagnose` dates its causes, doubts them and gives the verdict.

    `causes` are not yet dated. `changes` are those of the windows, then those of the track's own. `audit` is the document's
    section of that name; `figures_from` the source of the figures where there are only counts.
    """

    chosen: Chosen
    outcomes: dict[str, Outcome]
    causes: list[Cause]
    acceptance: dict[str, Any] | None
    coverage: Coverage
    changes: list[Change]
    not_checked: list[NotChecked]
    judge: Judge
    audit: dict[str, Any] | None = None
    figures_from: CounterSource | None = None
    totals: Totals | None = None
    timing: Timing | None = None
    speeds: list[Speed] = field(default_factory=list)
