"""Tuning put into a finished report: the section of the document, and its pages."""

import operator
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from sdtrace.diagnosis.diagnose import Diagnosis
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


def attach(report: Report, traffic: Sequence[Traffic], asked: Asked | None) -> Report:
    """The report with its tuning, or with the reason why it has none."""
    steps = sum(len(one.text.first) for one in traffic)
    found: Json | None
    why: str | None
    if (root := _broken(report)) is not None and asked is None:
        found, why = None, f"no advice on a trace that is wrong: mend {root} first"
    else:
        found, why = _tried(traffic, asked, _whole(report)) if steps >= ENOUGH else (None, _too_few(steps))
        found = found | {"advice": []} if found is not None and root is not None else found
    why = why if found is None and report.document["audit"] else None
    document = one_length(report.document, found) if root is None else _no_length(report.document)
    report = replace(report, document=document)
    return replace(_with(report, found, why), sections=_laid(report, found, first=asked is not None))


#: cause -> whether the best length lies on the side that it says.
_LENGTHS: dict[str, Callable[[int, int], bool]] = {"tau-too-large": operator.lt, "tau-too-small": operator.gt}


#: What a cause says of another length by its own estimate.
_GAINS = re.compile(r"; [^;]*would gain[^;]*")


def one_length(document: Json, tuning: Json | None) -> Json:
    """The document with one recommendation of a draft length: where the curve of recorded tokens has one, causes say the same."""
    tau = tuning["tau"] if tuning else {}
    best, current, gain = (tau.get(name) for name in ("best", "current", "gain"))
    if best is None or current is None or gain is None:
        return document
    rows, verdict = [], document["verdict"]
    for row in document["causes"]:
        if row["cause"] in _LENGTHS and _LENGTHS[row["cause"]](best, current):
            more = " or more" if tau.get("gain_basis") == "at-least" else ""
            curve = f"; the best draft length is {best} instead of {current}: {gain:+.0%} speed{more}"
            said = _GAINS.sub(curve, row["headline"], count=1)
            if verdict["headline"].startswith(row["headline"]):
                verdict = verdict | {"headline": said + verdict["headline"].removeprefix(row["headline"])}
            row = row | {
                "headline": said,
                "effect": f"throughput would be {gain:.0%}{more} higher at the best draft length",
            }
        rows.append(row)
    return document | {"causes": rows, "verdict": verdict}


def _no_length(document: Json) -> Json:
    """The document of a trace that is wrong: its causes recommend no draft length."""
    rows = [
        row | {"headline": _GAINS.sub("", row["headline"], count=1), "effect": None}
        if row["cause"] in _LENGTHS
        else row
        for row in document["causes"]
    ]
    return document | {"causes": rows}


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
