"""The history of a night as plain values: the document's `history` and the sections that show it."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import date
from typing import Any

from sdtrace.history.alarm import Alarm
from sdtrace.history.alarms import register
from sdtrace.history.changepoints import shifts
from sdtrace.history.fall import FEWEST
from sdtrace.history.trend import Point, change, learning, names, series, shown
from sdtrace.results.not_checked import without
from sdtrace.results.numbers import PER_STEP
from sdtrace.results.report import Chart, Report, Section, leaving
from sdtrace.results.words import VERDICTS, figure_name, is_share
from sdtrace.schema.json_values import Json

#: Nights that a chart shows.
SHOWN = 180
#: Closed alarms that a report keeps, the latest.
PAST = 50


def with_history(
    report: Report,
    records: Sequence[Json],
    acknowledged: Sequence[Json],
    faults: Sequence[Alarm] = (),
) -> Report:
    """The report of the last of these nights, with what all of them say; `faults` alarm beside what stands."""
    found = register(records, acknowledged)
    standing = [*found.standing, *faults]
    verdict = _raised(report.document["verdict"], found.standing, faults)
    history = {
        "night": records[-1]["night"],
        "nights": len(records),
        "services": [_service(records, name) for name in records[-1]["services"]],
        "alarms": [asdict(a) for a in standing],
        "past": [asdict(stay) for stay in found.stays if stay.closed is not None][-PAST:],
        "aside": records[-1].get("aside", []),
    }
    told = leaving(report, without(report.not_checked, "history"), verdict=verdict, history=history)
    return replace(told, sections=[*history_sections(records), *report.sections])


def _raised(verdict: Json, standing: Sequence[Alarm], faults: Sequence[Alarm]) -> Json:
    """The verdict with what only many nights show: the worst alarm that is not known, where it is worse. A fault of an earlier
    night that arrived late is news of this one."""
    told = [(a, f"night of {a.since}, counted late: {a.headline}") for a in faults]
    told += [(a, a.headline) for a in standing if a.kind != "cause"]
    for alarm, headline in told:
        if alarm.until is None and VERDICTS.index(alarm.side) < VERDICTS.index(verdict["state"]):
            verdict = verdict | {"state": alarm.side, "headline": headline}
    return verdict


def _service(records: Sequence[Json], name: str) -> Json:
    rows, marks = [], []
    for metric in shown(records, name):
        points = series(records, name, metric)
        rows.append({"name": metric, "raw": points[-1].raw, **asdict(change(points))})
        marks = [{"night": p.night, "changed": list(p.marks)} for p in points if p.marks]
    since = marks[-1]["night"] if marks else next(r["night"] for r in records if name in r["services"])
    fingerprint = records[-1]["services"][name]["fingerprint"]
    nights = sum(name in r["services"] for r in records)
    learnt = {"nights": nights, "needed": FEWEST} if learning(records, name) else None
    told = {"service": name, "fingerprint": fingerprint, "since": since, "metrics": rows, "marks": marks}
    return told | {"learning": learnt}


def history_sections(records: Sequence[Json]) -> list[Section]:
    """Tonight against the baseline, then a trend for every service and figure."""
    return [_tonight(records), *trends(records)]


def trends(records: Sequence[Json]) -> list[Section]:
    """A section for every service and figure."""
    lines = [
        (name, metric, series(records, name, metric)) for name in names(records) for metric in shown(records, name)
    ]
    return [_trend(*line) for line in lines if sum(p.raw is not None for p in line[2]) >= 2]


def _tonight(records: Sequence[Json]) -> Section:
    rows: list[list[Any]] = []
    left: dict[str, None] = {}
    shares: list[str] = []
    per_step: list[str] = []
    for name in records[-1]["services"]:
        for metric in shown(records, name):
            points = series(records, name, metric)
            c = change(points)
            left |= dict.fromkeys(c.left_out)
            shares += [figure_name(metric)] if is_share(metric) else []
            per_step += [figure_name(metric)] if metric in PER_STEP else []
            rows.append([name, figure_name(metric), points[-1].raw, c.value, c.baseline, c.nights])
            rows[-1] += [_percent(x) for x in (c.change, c.low, c.high)]
    columns = [
        "service",
        "figure",
        "tonight",
        "at the usual mix",
        "baseline",
        "nights",
        "change",
        "low (95%)",
        "high (95%)",
    ]
    says = f"The night of {records[-1]['night']} against the nights before it, of which the state holds {len(records) - 1}."
    if left:
        says += " Left out of the baseline, since they have faults of their own or fell far below the others: "
        says += ", ".join(sorted(left)[-5:])
        says += f" and {len(left) - 5} more." if len(left) > 5 else "."
    aside = records[-1].get("aside", [])
    if aside:
        said = [f"{one['path']} ({one['why']})" for one in aside[:3]]
        says += f" Not counted: {'; '.join(said)}"
        says += f" and {len(aside) - 3} more." if len(aside) > 3 else "."
    return Section("tonight", "Against the baseline", says, columns, rows, shares=shares, per_step=per_step)


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:+.1%}"


def _trend(name: str, metric: str, points: Sequence[Point]) -> Section:
    shown = points[-SHOWN:]
    found = {s.night: s for s in shifts(points)}
    what = figure_name(metric)
    rows: list[list[Any]] = []
    for p in reversed(shown):
        shift = found.get(p.night)
        told = None if shift is None else f"{shift.change:+.1%} (chance {shift.p:.3f})"
        rows.append([p.night, p.raw, p.value, "; ".join(p.marks) or None, told])
    days = _days(shown[0].night, shown[-1].night)
    known = {p.night: p for p in shown}
    marks = [i for i, day in enumerate(days) if day in known and known[day].marks]
    raw = [known[day].raw if day in known else None for day in days]
    standard = [known[day].value if day in known else None for day in days]
    # counts have no requests, hence no mix: both lines would be one
    values = {"as counted": raw} | (
        {"at the usual mix": standard}
        if any(v is not None and v != r for v, r in zip(standard, raw, strict=True))
        else {}
    )
    chart = Chart("line", "night", what, [day[5:] for day in days], values, marks=marks, share=is_share(metric))
    says = f"{what.capitalize()} of {name} over {len(shown)} nights"
    says += (
        f"; {len(marks)} change{'s' if len(marks) > 1 else ''} of version or configuration, marked with a line"
        if marks
        else ""
    )
    if found:
        says += f"; the level changed on {', '.join(sorted(found))}"
    else:
        says += f"; {_except([p.night for p in shown if p.faulty])}no change of level shows"
    ident = f"trend-{names_to_id(name)}-{metric.replace('_', '-')}"
    columns = ["night", "as counted", "at the usual mix", "version or configuration", "change of level"]
    return Section(
        ident,
        f"{what.capitalize()}, {name}",
        says + ".",
        columns,
        rows,
        chart,
        columns[1:3] if is_share(metric) else [],
        columns[1:3] if metric in PER_STEP else [],
    )


def _except(faulty: Sequence[str]) -> str:
    """What a level does not rest on: a bad night beside "no change" would be two sentences that contradict each other."""
    if not faulty:
        return ""
    nights = ", ".join(faulty[-5:]) if len(faulty) <= 5 else f"{', '.join(faulty[-5:])} and {len(faulty) - 5} more"
    return f"apart from {nights} (a fault, or far below the nights before), "


def _days(first: str, last: str) -> list[str]:
    """Every night from one to another: a missing one is a gap in a chart."""
    begin, end = date.fromisoformat(first).toordinal(), date.fromisoformat(last).toordinal()
    return [date.fromordinal(day).isoformat() for day in range(max(begin, end - 2 * SHOWN), end + 1)]


def names_to_id(name: str) -> str:
    """A service's name as part of an anchor."""
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower())[:40]
