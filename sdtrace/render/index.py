"""The page of all nights: what stands now, a calendar, trends. Offline and without script, as every page."""

import calendar
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from markupsafe import Markup

from sdtrace.render.html import ALARMS, ROWS, environment
from sdtrace.results.report import Section
from sdtrace.results.words import TITLES
from sdtrace.version import VERSION

#: Nights that are listed, and months of the calendar.
NIGHTS, MONTHS = 60, 13


def page(records: Sequence[dict[str, Any]], sections: Sequence[Section], document: Mapping[str, Any]) -> bytes:
    """`records` oldest first, one at least; `document` is that of the last night, with its history."""
    alarms, verdict = document["history"]["alarms"], document["verdict"]
    alarmed = {a["since"] for a in alarms if a["until"] is None}
    made = environment()
    style, _, _ = made.loader.get_source(made, "page.css") if made.loader else ("", None, None)
    nights = [{"night": r["night"], **r["verdict"]} for r in reversed(records)]
    text = made.get_template("index.html").render(
        state=verdict["state"],
        headline=verdict["headline"],
        last=nights[0]["night"],
        nights=nights,
        months=_months(records, alarmed),
        sections=sections,
        alarms=alarms,
        states=TITLES,
        style=Markup(style),  # our own file
        version=VERSION,
        caps={"rows": ROWS, "nights": NIGHTS, "alarms": ALARMS},
    )
    return text.encode("utf-8", "replace")


def _months(records: Sequence[dict[str, Any]], alarmed: set[str]) -> list[dict[str, Any]]:
    """The latest months first, each as weeks of days; None pads a week."""
    verdicts = {r["night"]: r["verdict"] for r in records}
    months = sorted({night[:7] for night in verdicts}, reverse=True)[:MONTHS]
    return [{"name": month, "weeks": _weeks(month, verdicts, alarmed)} for month in months]


def _weeks(month: str, verdicts: dict[str, Any], alarmed: set[str]) -> list[list[dict[str, Any] | None]]:
    year, number = map(int, month.split("-"))
    weeks: list[list[dict[str, Any] | None]] = []
    for week in calendar.monthcalendar(year, number):
        days: list[dict[str, Any] | None] = []
        for day in week:
            if not day:
                days.append(None)
                continue
            night = date(year, number, day).isoformat()
            verdict = verdicts.get(night, {"state": None, "headline": ""})
            days.append({"night": night, "day": day, "alarm": night in alarmed, **verdict})
        weeks.append(days)
    return weeks
