"""A report as bytes and back, so that an old night can be rendered again by a newer page."""

from typing import Any

import orjson

from sdtrace.results.not_checked import NotChecked
from sdtrace.results.report import Chart, Report, Section, ViewedRequest


def stored(report: Report) -> bytes:
    """Document, sections and viewer as JSON; the renderer that a notebook uses is left out."""
    kept = ("document", "sections", "viewer", "not_checked")
    return orjson.dumps({name: getattr(report, name) for name in kept})


def report_of(data: bytes) -> Report:
    """The report again. Token ids are never stored, so none may be shown."""
    plain: dict[str, Any] = orjson.loads(data)
    return Report(
        plain["document"],
        [_section(s) for s in plain["sections"]],
        [ViewedRequest(**v) for v in plain["viewer"]],
        ids=False,
        not_checked=_not_checked(plain),
    )


def _not_checked(plain: dict[str, Any]) -> list[NotChecked]:
    """The codes; of a report that was stored without them, its sentences as they stand."""
    if "not_checked" in plain:
        return [NotChecked(**note) for note in plain["not_checked"]]
    return [NotChecked("said", {"says": note}) for note in plain["document"]["verdict"]["not_checked"]]


def _section(plain: dict[str, Any]) -> Section:
    chart = plain["chart"]
    return Section(**(plain | {"chart": None if chart is None else Chart(**chart)}))
