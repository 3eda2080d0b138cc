"""A report as bytes and back, so that an old night can be rendered again by a newer page."""

import orjson

from sdtrace.history.older_rows import with_kinds, with_per_step
from sdtrace.results.not_checked import NotChecked
from sdtrace.results.report import Chart, Report, Section, ViewedRequest
from sdtrace.schema.json_values import Json


def stored(report: Report) -> bytes:
    """Document, sections and viewer as JSON; the renderer that a notebook uses is left out."""
    kept = ("document", "sections", "viewer", "not_checked")
    return orjson.dumps({name: getattr(report, name) for name in kept})


def report_of(data: bytes) -> Report:
    """The report again. Token ids are never stored, so none may be shown."""
    plain: Json = orjson.loads(data)
    document: Json = plain["document"]
    document["inputs"] = [with_kinds(one) for one in document["inputs"]]
    return Report(
        document,
        [_section(s) for s in plain["sections"]],
        [ViewedRequest(**v) for v in plain["viewer"]],
        ids=False,
        not_checked=_not_checked(plain),
    )


def _not_checked(plain: Json) -> list[NotChecked]:
    """The codes; of a report that was stored without them, its sentences as they stand."""
    if "not_checked" in plain:
        return [NotChecked(**note) for note in plain["not_checked"]]
    return [NotChecked("said", {"says": note}) for note in plain["document"]["verdict"]["not_checked"]]


def _section(plain: Json) -> Section:
    chart, plain = plain["chart"], with_per_step(plain)
    return Section(**(plain | {"chart": None if chart is None else Chart(**chart)}))
