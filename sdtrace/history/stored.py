"""A report as plain values and back, so that an old night can be rendered again by a newer page."""

from dataclasses import asdict
from typing import Any

from sdtrace.results import Chart, Report, Section, ViewedRequest


def plain_report(report: Report) -> dict[str, Any]:
    """Document, sections and viewer; the renderer that a notebook uses is left out."""
    return {
        "document": report.document,
        "sections": [asdict(s) for s in report.sections],
        "viewer": [asdict(v) for v in report.viewer],
    }


def report_of(plain: dict[str, Any]) -> Report:
    """The report again. Token ids are never stored, so none may be shown."""
    return Report(
        plain["document"],
        [_section(s) for s in plain["sections"]],
        [ViewedRequest(**v) for v in plain["viewer"]],
        ids=False,
    )


def _section(plain: dict[str, Any]) -> Section:
    chart = plain["chart"]
    return Section(**(plain | {"chart": None if chart is None else Chart(**chart)}))
