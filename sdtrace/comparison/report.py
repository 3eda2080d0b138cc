"""A comparison as a Report: the candidate's document, with verdict and causes that speak of the change."""

from collections.abc import Sequence
from dataclasses import replace

from sdtrace.audit.audit import Audit
from sdtrace.comparison.compare import Change
from sdtrace.comparison.sections import change_sections
from sdtrace.diagnosis.diagnose import Diagnosis
from sdtrace.document.document import document
from sdtrace.results.check import Check
from sdtrace.results.not_checked import NotChecked, without
from sdtrace.results.report import Report
from sdtrace.speed.sections import time_sections


def change_report(found: Change, base: Audit, candidate: Audit, told: Diagnosis, checks: Sequence[Check]) -> Report:
    """`told` is the candidate's diagnosis; audit, acceptance and time in the document are the candidate's."""
    headline = f"{found.answer.word}: {found.answer.says}"
    wrong = [cause for cause in found.causes if cause.side == "wrong"]
    if wrong:
        headline = f"{wrong[0].headline} (not so in the base); {headline}"
    notes = [NotChecked("said", {"says": note}) for note in found.notes]
    unseen = [*notes, *without(told.not_checked, "comparison")]
    spoken = replace(told, causes=found.causes, state=found.state, headline=headline, not_checked=unseen)
    both = replace(candidate, inputs=[*base.inputs, *candidate.inputs])
    made = document(both, spoken, checks) | {"diff": found.document}
    sections = change_sections(found) + (time_sections(told.timing) if told.timing is not None else [])
    return Report(made, sections, [], not_checked=unseen)
