"""The whole comparison: figures, answer, attribution, slices, causes, as the document of `sdtrace diff`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sdtrace.audit.audit import Audit
from sdtrace.comparison import MARGIN
from sdtrace.comparison.answer import Answer, answer, causes_of, suspicions
from sdtrace.comparison.arms import Arm, Pair, arm, pair
from sdtrace.comparison.attribution import Attribution, attribution
from sdtrace.comparison.counts import counted_metrics
from sdtrace.comparison.metrics import Metric, metrics
from sdtrace.comparison.settled import Settled, answered, differences, settled
from sdtrace.comparison.slices import Slice, slices
from sdtrace.diagnosis.diagnose import Diagnosis
from sdtrace.document.about import about
from sdtrace.results.cause import Cause
from sdtrace.results.words import VerdictState
from sdtrace.schema.run import Run


@dataclass(frozen=True)
class Change:
    """Everything that was found about two sides."""

    answer: Answer
    metrics: list[Metric]
    attribution: Attribution | None
    slices: list[Slice]
    causes: list[Cause]
    notes: list[str]
    configured: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    settled: list[Settled] = field(default_factory=list)

    @property
    def state(self) -> VerdictState:
        """The verdict's state: of the change, and of what the candidate does wrong that the base did not."""
        if any(cause.side == "wrong" and cause.certainty != "suspected" for cause in self.causes):
            return "wrong"
        if self.answer.word == "regressed":
            return "slow"
        return "cannot-tell" if self.answer.word == "inconclusive" else "healthy"

    @property
    def document(self) -> dict[str, Any]:
        """The `diff` section."""
        return {
            "answer": self.answer.word,
            "says": self.answer.says,
            "metrics": [
                {
                    "name": one.name,
                    "base": one.base,
                    "candidate": one.candidate,
                    "change": None if one.change is None else one.change.value,
                    "low": None if one.change is None else one.change.low,
                    "high": None if one.change is None else one.change.high,
                }
                for one in self.metrics
            ],
            "attribution": [
                {"term": t.name, "log_change": t.change.value, "low": t.change.low, "high": t.change.high}
                for t in (self.attribution.terms if self.attribution else [])
            ],
            "slices": [
                {
                    "where": s.where,
                    "contribution": s.contribution.value,
                    "low": s.contribution.low,
                    "high": s.contribution.high,
                    "confirmed": s.confirmed,
                }
                for s in self.slices
            ],
            "mix_by": self.attribution.strata if self.attribution else [],
            "requests_needed": self.answer.needed,
            "configuration": {name: list(values) for name, values in self.configured.items()},
            "causes": [row.row() for row in self.settled],
        }


def change(
    base: tuple[str, Audit, Diagnosis], candidate: tuple[str, Audit, Diagnosis], margin: float = MARGIN
) -> Change:
    """Compare two audited sides, each (path, audit, diagnosis)."""
    arms = [arm(*side) for side in (base, candidate)]
    configured = _configured(base, candidate)
    rows = settled(base[2], candidate[2])
    if arms[0] is None or arms[1] is None:
        made = _counted(base, candidate, margin, configured)
    else:
        made = _stepwise(pair(arms[0], arms[1]), margin, configured, mended=any(r.change == "fixed" for r in rows))
    told = answered(made.answer, rows)
    slow = [] if told.word == "improved" else made.causes
    return replace(made, answer=told, settled=rows, causes=[c for c in made.causes if c.side == "wrong" or c in slow])


def _stepwise(both: Pair, margin: float, configured: dict[str, tuple[Any, Any]], *, mended: bool) -> Change:
    figures = metrics(both)
    told = answer(figures, margin, min(both.base.requests, both.candidate.requests))
    split = attribution(both)
    cut = slices(both)
    notes = ([] if mended else suspicions(both, figures)) + _notes(both, configured)
    return Change(told, figures, split, cut, causes_of(both, told, split, cut, margin), notes, configured)


def _notes(both: Pair, configured: Mapping[str, tuple[Any, Any]]) -> list[str]:
    notes = [note for side in (both.base, both.candidate) for note in _about(side)]
    if both.paired:
        notes.append("requests are compared with themselves: both sides served the same request ids")
    notes += [
        f"the two sides differ in {name}: {a!r} and {b!r}" for name, (a, b) in configured.items() if name == "rule"
    ]
    return notes


def _about(side: Arm) -> list[str]:
    """What of a side was left out, under its name."""
    return [f"{side.path}: {note}" for note in side.timing.notes]


def _counted(
    base: tuple[str, Audit, Diagnosis],
    candidate: tuple[str, Audit, Diagnosis],
    margin: float,
    configured: dict[str, tuple[Any, Any]],
) -> Change:
    figures, notes = counted_metrics((base[1], base[2]), (candidate[1], candidate[2]), margin)
    told = answer(figures, margin, None)
    if told.word == "fine" and notes and not any(one.name == "tokens_per_second" for one in figures):
        told = Answer("inconclusive", told.metric, f"{told.says}; {notes[0]}", None)
    notes.append("attribution and slices: at least one side has only counts")
    known = {cause.cause for cause in base[2].causes if cause.side == "wrong"}
    fresh = [c for c in candidate[2].causes if c.side == "wrong" and c.cause not in known]
    return Change(told, figures, None, [], fresh, notes, configured)


def _configured(
    base: tuple[str, Audit, Diagnosis], candidate: tuple[str, Audit, Diagnosis]
) -> dict[str, tuple[Any, Any]]:
    """What run lines, logs and announcements of both sides say differently."""
    runs = [
        d.timing.run if d.timing is not None else next(iter(audit.runs.values()), Run())
        for _, audit, d in (base, candidate)
    ]
    return differences([about(audit, d) for _, audit, d in (base, candidate)], runs)
