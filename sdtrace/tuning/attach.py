"""Tuning put into a finished report: the section of the document, and its pages."""

import os
from collections.abc import Sequence
from dataclasses import replace

from sdtrace.diagnosis.diagnose import Diagnosis
from sdtrace.results.cause import Cause
from sdtrace.results.draft_length import Basis, OtherLength
from sdtrace.results.not_checked import NotChecked
from sdtrace.results.report import Report, Section, leaving
from sdtrace.schema.json_values import Json
from sdtrace.tuning.counts import tuning_of_counts
from sdtrace.tuning.document import tuning
from sdtrace.tuning.run import Asked, Whole
from sdtrace.tuning.sample import Traffic
from sdtrace.tuning.sections import ADVICE, sections

#: Steps below which nothing is said about settings.
ENOUGH = 30


def attach(report: Report, diagnosis: Diagnosis, traffic: Sequence[Traffic], asked: Asked | None) -> Report:
    """The report of that diagnosis with its tuning, or with the reason why it has none."""
    steps = sum(len(one.text.first) for one in traffic)
    made: Json | None
    why: str | None
    if (root := _broken(report)) is not None and asked is None:
        made, why = None, f"no advice on a trace that is wrong: mend {root} first"
    else:
        made, why = _tried(traffic, asked, _whole(report)) if steps >= ENOUGH else (None, _too_few(steps))
        made = made | {"advice": []} if made is not None and root is not None else made
    why = why if made is None and report.document["audit"] else None
    causes = one_length(diagnosis.causes, made) if root is None else without_length(diagnosis.causes)
    report = _reworded(report, diagnosis, causes)
    return replace(_with(report, made, why), sections=_laid(report, made, first=asked is not None))


def one_length(causes: Sequence[Cause], tuning: Json | None) -> list[Cause]:
    """The causes with one recommendation of a draft length: where the curve of recorded tokens has one on the same side, it is that."""
    tau = tuning["tau"] if tuning else {}
    best, current, gain = (tau.get(name) for name in ("best", "current", "gain"))
    if best is None or current is None or gain is None:
        return list(causes)
    basis: Basis = "curve-at-least" if tau.get("gain_basis") == "at-least" else "curve"
    return [_measured(cause, OtherLength(best, current, gain, basis)) for cause in causes]


def _measured(cause: Cause, curve: OtherLength) -> Cause:
    if cause.length is None or cause.length.shorter != curve.shorter or curve.length == curve.current:
        return cause
    effect = f"throughput would be {curve.gain:.0%}{curve.more} higher at the best draft length"
    return replace(cause, length=curve, effect=effect)


def without_length(causes: Sequence[Cause]) -> list[Cause]:
    """The causes of a trace that is wrong: none recommends a draft length."""
    return [cause if cause.length is None else replace(cause, length=None, effect=None) for cause in causes]


def _reworded(report: Report, diagnosis: Diagnosis, causes: Sequence[Cause]) -> Report:
    """The report of that diagnosis, where `causes`, one for each of its own, say another length."""
    document = report.document
    if not any(cause.length is not None for cause in diagnosis.causes):
        return report
    rows = [
        row | {"headline": cause.headline, "effect": cause.effect}
        for row, cause in zip(document["causes"], causes, strict=True)
    ]
    _, headline = diagnosis.judge(causes, diagnosis.incident)
    made = document | {"causes": rows, "verdict": document["verdict"] | {"headline": headline.text}}
    return replace(report, document=made, headline=headline)


def _broken(report: Report) -> str | None:
    """The root of an incident that changes what is accepted: settings that follow from it are advice for the fault."""
    incident = report.document.get("incident")
    wrong = report.document["verdict"]["state"] == "wrong"
    return str(incident["root"]) if wrong and incident else None


def attach_counts(report: Report, diagnosis: Diagnosis, asked: Asked) -> Report:
    """The report of counts with what they tell of other draft lengths, or with the reason why they tell nothing."""
    made, why = tuning_of_counts(diagnosis, asked)
    return replace(_with(report, made, why if made is None else None), sections=_laid(report, made, first=True))


def _laid(report: Report, made: Json | None, *, first: bool) -> list[Section]:
    """The sections; where settings were asked for they stand `first`, the recommended ones before their reasons."""
    mine = sections(made)
    if not first:
        return [*report.sections, *mine]
    return [*sorted(mine, key=lambda section: section.id != ADVICE), *report.sections]


def _with(report: Report, made: Json | None, why: str | None) -> Report:
    notes = [*report.not_checked, *([NotChecked("tuning", {"why": why})] if why else [])]
    return leaving(report, notes, tuning=made)


def _whole(report: Report) -> Whole:
    """The report's own figures: the curve is brought to them."""
    a, time = report.document["acceptance"] or {}, report.document["time"] or {}
    ends = (a.get("ci") or {}).get("tokens_per_step") or (None, None)
    names = ("step_ms", "baseline_ms", "speedup", "speedup_low", "speedup_high")
    return Whole(a.get("tokens_per_step"), *ends, **{name: time.get(name) for name in names})


def _tried(traffic: Sequence[Traffic], asked: Asked | None, whole: Whole) -> tuple[Json | None, str | None]:
    """A fault in here costs the advice, never the verdict; SDTRACE_TRACEBACK shows where it is."""
    try:
        return tuning(traffic, asked, whole)
    except Exception as error:
        if os.environ.get("SDTRACE_TRACEBACK"):
            raise
        return None, f"crashed ({type(error).__name__}: {error})"[:300]


def _too_few(steps: int) -> str:
    return f"{steps} steps are too few, {ENOUGH} would do" if steps else "no step says what it appended"
