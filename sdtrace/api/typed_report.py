"""The report that a Python program holds: its parts as typed values, its tables, and how it is saved, shown and compared."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from sdtrace import atomic
from sdtrace.api import parts
from sdtrace.api.frames import Frames, Kept
from sdtrace.checks import CHECKS
from sdtrace.comparison import MARGIN
from sdtrace.errors import UsageError
from sdtrace.results import report as plain
from sdtrace.schema.json_values import Json

#: What a report is written as.
Format = Literal["html", "json", "markdown", "prometheus", "sarif", "junit", "text"]
ENDINGS: dict[str, Format] = {
    ".html": "html",
    ".htm": "html",
    ".json": "json",
    ".md": "markdown",
    ".prom": "prometheus",
    ".sarif": "sarif",
    ".xml": "junit",
    ".txt": "text",
}


@dataclass(frozen=True, repr=False)
class Report(plain.Report):
    """What `sdtrace.report` and its siblings found.

    `document` is the JSON of format 1 (keys are added, never changed); the attributes are typed views on it.
    """

    kept: Kept | None = field(default=None, compare=False)

    @cached_property
    def verdict(self) -> parts.Verdict:
        """healthy, wrong, slow, metric-suspect or cannot-tell, in one sentence, with what was not checked."""
        return parts.Verdict.of(self.document["verdict"])

    @cached_property
    def causes(self) -> tuple[parts.Cause, ...]:
        """Strongest first; empty where nothing was found."""
        return tuple(parts.Cause.of(row) for row in self.document["causes"])

    @cached_property
    def checks(self) -> tuple[parts.Check, ...]:
        """Every check, in the order of its code."""
        return parts.made(parts.Check, self.document["checks"])

    @cached_property
    def incident(self) -> parts.Incident | None:
        """The root cause with its signs; None where no cause is more than suspected."""
        return None if self.document["incident"] is None else parts.Incident.of(self.document["incident"])

    @cached_property
    def acceptance(self) -> parts.Acceptance | None:
        """None where nothing was counted."""
        return None if self.document["acceptance"] is None else parts.Acceptance.of(self.document["acceptance"])

    @cached_property
    def time(self) -> parts.Time | None:
        """Milliseconds of a step; None where no time is known."""
        return None if self.document["time"] is None else parts.made(parts.Time, [self.document["time"]])[0]

    @cached_property
    def changes(self) -> tuple[parts.Change, ...]:
        """What changed within the input, in order of time."""
        return parts.made(parts.Change, self.document["changes"])

    @cached_property
    def tuning(self) -> parts.Tuning | None:
        """Draft lengths and advice; None where the record does not support any (`verdict.not_checked` says why)."""
        return None if self.document["tuning"] is None else parts.Tuning.of(self.document["tuning"])

    @cached_property
    def comparison(self) -> parts.Comparison | None:
        """Of `sdtrace.diff`: what changed; None in other reports."""
        return None if self.document["diff"] is None else parts.Comparison.of(self.document["diff"])

    @cached_property
    def frames(self) -> Frames:
        """Polars frames: runs, requests, positions, timeline, windows, checks, causes, changes."""
        return Frames(self.document, self.kept)

    def to_dict(self) -> Json:
        """The JSON document as a new dict of plain values: what `save("x.json")` writes."""
        from orjson import loads

        from sdtrace.render import json

        found: Json = loads(json.dumps(self))
        return found

    def save(self, path: str | os.PathLike[str], *, format: Format | None = None) -> Path:
        """Write the report; the ending says as what: .html, .json, .md, .prom, .sarif, .xml (JUnit), .txt; else `format` does.

        The file is written whole or not at all. Raises UsageError for another ending, or where `path` is an input of the
        report, and OutputError where it cannot be written.
        """
        place = Path(path)
        known = format or ENDINGS.get(place.suffix.lower())
        if known is None or known not in ENDINGS.values():
            raise UsageError(f"{place}: no format has that ending", f"end it in {', '.join(ENDINGS)}, or give format=")
        for one in self.document["inputs"]:
            if os.path.exists(place) and os.path.exists(one["path"]) and os.path.samefile(place, one["path"]):
                raise UsageError(f"{place}: is an input of the report", "write to another file; it was left as it is")
        atomic.write(place, _written(known)(self))
        return place

    def diff(self, candidate: "Report", *, margin: float = MARGIN) -> "Report":
        """What changed from this report to `candidate`, from the sums that both hold; no input is read again.

        `margin`: the relative change of speed that nobody minds. Raises UsageError for reports that hold no sums: of
        `sdtrace.diff` and `sdtrace.probe`.
        """
        if self.kept is None or candidate.kept is None:
            raise UsageError(
                "this report holds no sums to compare", "compare reports of sdtrace.report, or use sdtrace.diff"
            )
        return compared(self.kept, candidate.kept, margin)

    def __getstate__(self) -> dict[str, object]:
        """What is pickled: the sums stay behind, and with them `diff` and the frames of traces and logs."""
        return {name: getattr(self, name) for name in plain.Report.__dataclass_fields__} | {"kept": None}

    def __repr__(self) -> str:
        from sdtrace.render.text import clean

        verdict, causes = self.document["verdict"], len(self.document["causes"])
        found = f"{causes} cause{'' if causes == 1 else 's'}"
        return f"<sdtrace.Report {verdict['state']}, {found}: {clean(verdict['headline'], 160)}>"

    def __str__(self) -> str:
        """The summary that the command prints."""
        return _text(self).decode()

    def _repr_html_(self) -> str:
        """The page in a notebook, in a frame of its own."""
        from sdtrace.render import html

        return html.fragment(self)


def compared(base: Kept, candidate: Kept, margin: float) -> Report:
    """The report of a comparison."""
    from sdtrace.comparison.compare import change
    from sdtrace.comparison.report import change_report

    found = change(
        (base.path, base.audit, base.diagnosis), (candidate.path, candidate.audit, candidate.diagnosis), margin
    )
    return typed(change_report(found, base.audit, candidate.audit, candidate.diagnosis, CHECKS))


def typed(report: plain.Report, kept: Kept | None = None) -> Report:
    """A report of the stages as a program gets it."""
    return Report(
        report.document,
        report.sections,
        report.viewer,
        report.ids,
        report.not_checked,
        report.text,
        report.headline,
        kept,
    )


def _written(format: Format) -> Callable[[Report], bytes]:
    """The renderer of a format; templates load only then."""
    from sdtrace.render import html, json, junit, markdown, prometheus, sarif

    return {
        "html": html.page,
        "json": json.dumps,
        "markdown": markdown.dumps,
        "prometheus": prometheus.dumps,
        "sarif": sarif.dumps,
        "junit": junit.dumps,
        "text": _text,
    }[format]


def _text(report: Report) -> bytes:
    from sdtrace.render import difference, terminal

    summary = terminal.summary if report.document["diff"] is None else difference.summary
    return summary(report, width=100, color=False).encode("utf-8", "replace")
