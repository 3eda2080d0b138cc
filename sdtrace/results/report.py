"""The report as plain values: what every renderer prints, and nothing that has to be computed any more."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sdtrace.results.headline import Headline
from sdtrace.results.not_checked import NotChecked, sentences

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Chart:
    """Series over labelled points; `low` and `high` are the ends of the first series' 95% intervals, or empty.

    `kind` is `bars`, `line`, or `stack` (parts of a whole, one bar); a missing value is None and leaves a gap.
    """

    kind: str
    x_title: str
    y_title: str
    x: list[str]
    series: dict[str, list[float | None]]
    low: list[float | None] = field(default_factory=list)
    high: list[float | None] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)  #: points at which something changed, drawn as upright lines
    #: where the points stand on a true axis, in the unit of `axis`; empty where they stand side by side
    at: list[float] = field(default_factory=list)
    axis: Literal["", "clock", "seconds"] = ""  #: Unix seconds, shown as UTC; or seconds of a log's own clock
    notes: list[tuple[float, str]] = field(default_factory=list)  #: what happened, and where on that axis
    shade: tuple[float, float] | None = None  #: the stretch of the incident
    share: bool = False  #: the values are shares of a whole, shown in percent


@dataclass(frozen=True)
class Section:
    """A title, one sentence, rows of plain values, and the chart that draws them, if any."""

    id: str
    title: str
    sentence: str
    columns: list[str]
    rows: list[list[Value]]
    chart: Chart | None = None
    #: names of columns, and of rows by their cell of the column `figure`, whose fractions are shares of a whole: shown in percent
    shares: list[str] = field(default_factory=list)
    #: and those that are tokens per step: two places
    per_step: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ViewedRequest:
    """A request for the trace viewer.

    `steps` are the dicts of `explain --json` (vocabulary), each with `path`, `line`, `note` (why the step is
    shown, or None) beside them; `left_out` counts the steps of the request that are not shown.
    """

    run_id: str
    request_id: str
    why: str
    steps: list[dict[str, Any]]
    left_out: int


@dataclass(frozen=True)
class Report:
    """Everything that was found. `document` is the JSON of format 1; the rest is for people. `ids`: token ids may be shown,
    `text`: so may their text.

    `not_checked`: what a later stage may add to and take from, `headline`: of which it may say what it rests on (None of a report
    that was stored); the document has both in words.
    """

    document: dict[str, Any]
    sections: list[Section]
    viewer: list[ViewedRequest]
    ids: bool = False
    not_checked: list[NotChecked] = field(default_factory=list)
    text: bool = False
    headline: Headline | None = None


def leaving(report: Report, notes: list[NotChecked], **more: Any) -> Report:
    """The report with `notes` as what was not checked, in its document too, and `more` keys of the document."""
    document = report.document | more
    document["verdict"] = document["verdict"] | {"not_checked": sentences(notes)}
    return replace(report, document=document, not_checked=notes)
