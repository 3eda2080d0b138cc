"""The page of all nights: what stands now, a calendar, trends. Offline and without script, as every page."""

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import date
from typing import Any

from markupsafe import Markup

from sdtrace.history.alarm import Stay
from sdtrace.history.fall import FEWEST
from sdtrace.history.overview import Standing
from sdtrace.history.trend import SPEED
from sdtrace.render.html import ALARMS, ROWS, environment
from sdtrace.render.sparkline import sparkline
from sdtrace.results.numbers import figure
from sdtrace.results.report import Section
from sdtrace.results.words import TITLES
from sdtrace.schema.json_values import Json
from sdtrace.version import VERSION

#: Nights that are listed, months of the calendar, alarms of the history.
NIGHTS, MONTHS, STAYS = 60, 13, 60


#: A night as its own page tells it: verdict and sentence.
Verdicts = Mapping[str, Mapping[str, Any]]
#: Figures of a service's row: title, unit, factor.
_LINES = {
    "tokens_per_step": ("tokens per step", "", 1.0),
    SPEED: ("speed", " tokens/s", 1.0),
    "rate_of_drafted": ("acceptance", "%", 100.0),
}


def page(
    records: Sequence[Json],
    sections: Sequence[Section],
    document: Mapping[str, Any],
    rows: Sequence[Standing] = (),
    stays: Sequence[Stay] = (),
    shown: Verdicts | None = None,
) -> bytes:
    """`records` oldest first, one at least; `document` is that of the last night, with its history. `rows` are the services,
    `stays` all alarms, `shown` what the page of each night says, where that is more than its record does."""
    alarms, verdict = document["history"]["alarms"], document["verdict"]
    said = {r["night"]: (shown or {}).get(r["night"], r["verdict"]) for r in records} | {records[-1]["night"]: verdict}
    made = environment()
    style, _, _ = made.loader.get_source(made, "page.css") if made.loader else ("", None, None)
    nights = [{"night": r["night"], **_plain(said[r["night"]])} for r in reversed(records)]
    text = made.get_template("index.html").render(
        state=verdict["state"],
        headline=verdict["headline"],
        last=nights[0]["night"],
        nights=nights,
        rows=[_row(row) for row in rows],
        stays=[_stay(stay, alarms) for stay in reversed(stays)],
        needed=FEWEST,
        months=_months(said, {stay.opened for stay in stays} | {a["since"] for a in alarms}),
        sections=sections,
        alarms=alarms,
        states=TITLES,
        style=Markup(style),  # our own file
        version=VERSION,
        caps={"rows": ROWS, "nights": NIGHTS, "alarms": ALARMS, "stays": STAYS},
    )
    return text.encode("utf-8", "replace")


def _plain(verdict: Mapping[str, Any]) -> Json:
    return {"state": verdict["state"], "headline": verdict["headline"]}


def _row(row: Standing) -> Json:
    """A service for the template: its drawings, the last value and the change of each figure."""
    lines = []
    for name, (title, unit, factor) in _LINES.items():
        points = [replace(p, value=None if p.value is None else factor * p.value) for p in row.figures[name]]
        last, change = points[-1].value, row.changes.get(name)
        lines.append(
            {
                "title": title,
                "svg": sparkline(points, title, unit, name),
                "last": None if last is None else figure(last, name) + unit,
                "change": None if change is None else f"{100 * change + 0.0:+.1f}%".replace("-0.0%", "+0.0%"),
            }
        )
    return {
        "lines": lines,
        **{f.name: getattr(row, f.name) for f in fields(row) if f.name not in ("figures", "changes")},
    }


def _stay(stay: Stay, standing: Sequence[Mapping[str, Any]]) -> Json:
    """An alarm's stay for the template, with its state in words; `open` is what stands in the list of alarms, unacknowledged."""
    mine = next((alarm for alarm in standing if alarm["id"] == stay.id), None)
    if stay.closed is not None:
        state = f"closed {stay.closed}: {stay.by}"
    elif mine is None:
        named = any(alarm["service"] == stay.service and alarm["kind"] == "cause" for alarm in standing)
        state = "explained by a cause" if named else f"not seen since {stay.last}"
    else:
        state = "open" if mine["until"] is None else f"acknowledged until {mine['until']}"
    return {"state": state, **{f.name: getattr(stay, f.name) for f in fields(stay)}}


def _months(verdicts: Verdicts, alarmed: set[str]) -> list[Json]:
    """The latest months first, each as weeks of days; None pads a week."""
    months = sorted({night[:7] for night in verdicts}, reverse=True)[:MONTHS]
    return [{"name": month, "weeks": _weeks(month, verdicts, alarmed)} for month in months]


def _weeks(month: str, verdicts: Verdicts, alarmed: set[str]) -> list[list[Json | None]]:
    year, number = map(int, month.split("-"))
    weeks: list[list[Json | None]] = []
    for week in calendar.monthcalendar(year, number):
        days: list[Json | None] = []
        for day in week:
            if not day:
                days.append(None)
                continue
            night = date(year, number, day).isoformat()
            verdict = verdicts.get(night, {"state": None, "headline": ""})
            days.append({"night": night, "day": day, "alarm": night in alarmed, **_plain(verdict)})
        weeks.append(days)
    return weeks
