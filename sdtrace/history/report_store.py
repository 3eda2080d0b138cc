"""A report as bytes and back, so that an old night can be rendered again by a newer page."""

from typing import Any

import orjson

from sdtrace.results.report import Chart, Report, Section, ViewedRequest


def stored(report: Report) -> bytes:
    """Document, sections and viewer as JSON; the renderer that a notebook uses is left out."""
    return orjson.dumps({"document": report.document, "sections": report.sections, "viewer": report.viewer})


def report_of(data: bytes) -> Report:
    """The report again. Token ids are never stored, so none may be shown."""
    plain: dict[str, Any] = orjson.loads(data)
    return Report(
        plain["document"],
        [_section(s) for s in plain["sections"]],
        [ViewedRequest(**v) for v in plain["viewer"]],
        ids=False,
    )


def _section(plain: dict[str, Any]) -> Section:
    chart = plain["chart"]
    return Section(**(plain | {"chart": None if chart is None else Chart(**chart)}))
