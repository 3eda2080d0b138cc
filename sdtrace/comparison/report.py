"""A comparison as a Report: the candidate's document, with verdict and causes that speak of the change."""

from collections.abc import Sequence
from dataclasses import replace

from sdtrace.audit.audit import Audit
from sdtrace.comparison.compare import Change
from sdtrace.comparison.sections import change_sections
from sdtrace.diagnosis.diagnose import Diagnosis
from sdtrace.document.document import document
from sdtrace.results.check import Check
from sdtrace.results.explains import UNKNOWN, Named, incident_of
from sdtrace.results.headline import Headline
from sdtrace.results.not_checked import NotChecked, without
from sdtrace.results.report import Report
from sdtrace.speed.sections import time_sections


def change_report(
    change: Change, base: Audit, candidate: Audit, diagnosis: Diagnosis, checks: Sequence[Check]
) -> Report:
    """`diagnosis` is the candidate's diagnosis; audit, acceptance and time in the document are the candidate's."""
    headline = f"{change.answer.word}: {change.answer.says}"
    found = incident_of([Named(c.cause, c.side, c.certainty) for c in change.causes])
    wrong = [cause for cause in change.causes if cause.side == "wrong"]
    if wrong:
        root = next((c for c in wrong if found is not None and c.cause == found[0]), wrong[0])
        headline = f"{root.headline} (not so in the base); {headline}"
    notes = [NotChecked("said", {"says": note}) for note in change.notes]
    unseen = [*notes, *without(diagnosis.not_checked, "comparison")]
    spoken = replace(
        diagnosis,
        causes=change.causes,
        state=change.state,
        headline=Headline(headline),
        not_checked=unseen,
        incident=None,
    )
    both = replace(candidate, inputs=[*base.inputs, *candidate.inputs])
    made = document(both, spoken, checks) | {"diff": change.document}
    made["incident"] = None if found is None else UNKNOWN | {"root": found[0], "consequences": found[1]}
    sections = change_sections(change) + (time_sections(diagnosis.timing) if diagnosis.timing is not None else [])
    return Report(made, sections, [], not_checked=unseen)
