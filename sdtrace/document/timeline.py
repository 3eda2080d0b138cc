"""Acceptance over time on a true axis, the first chart of a report: with what changed and the stretch of the incident."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.counters.changes import Change
from sdtrace.diagnosis.diagnose import Diagnosis
from sdtrace.results.clock import WALL, clock
from sdtrace.results.numbers import figure
from sdtrace.results.report import Chart, Section

#: Changes that are marked; the section of changes has all.
MARKED = 12
_WORDS = {
    "acceptance": "acceptance",
    "tokens_per_step": "tokens per step",
    "step_time": "step time",
    "throughput": "throughput",
    "load": "load",
    "draft_length": "draft length",
    "error": "error",
    "restart": "restart",
    "configuration": "configuration",
}


def over_time(audit: Audit, diagnosis: Diagnosis) -> Section | None:
    """Of a trace: acceptance by stretch of time, or by lines where steps have no time."""
    table, width = audit.tally.frame("timeline"), audit.tally.width
    if table.is_empty() or width is None:
        return None
    sums = (
        table.filter(pl.col("law").is_in([*(c.law for c in diagnosis.choices.values()), "greedy"]))
        .group_by("bucket", maintain_order=True)
        .agg(pl.exclude("law").sum())
        .sort("bucket")
    )
    if sums.height < 3:
        return None
    timed = audit.tally.frame("laws")["first_at"].null_count() == 0
    at = [bucket * width for bucket in sums["bucket"]]
    names = [clock(place) if timed else f"{place - at[0]:g}" for place in at]
    rows = [
        [name, r["steps"], r["appended"] / r["steps"], r["accepted"] / r["drafted"] if r["drafted"] else None, int(r["disagree"])]
        for name, r in zip(names, sums.iter_rows(named=True), strict=True)
    ]  # fmt: skip
    rates = [r[3] for r in rows if r[3] is not None]
    says = f"Acceptance of drafted tokens in {len(rows)} intervals of {width:g} {'s' if timed else 'lines'}"
    least, most = (f"{end:.0%}" for end in (min(rates, default=0.0), max(rates, default=0.0)))
    says += "." if not rates else f": {least} in each." if least == most else f", between {least} and {most}."
    unit = ("time (UTC)" if at[0] >= WALL else "seconds") if timed else "line of the input"
    chart = Chart("line", unit, "accepted / drafted", names, {"accepted / drafted": [r[3] for r in rows]}, share=True)
    if timed:
        chart = replace(chart, at=at, axis="clock" if at[0] >= WALL else "seconds")
    columns = [unit, "steps", "tokens per step", "accepted / drafted", "disagreements"]
    return Section(
        "over-time", "Acceptance over time", says, columns, rows, chart, ["accepted / drafted"], ["tokens per step"]
    )


def first_of_all(sections: Sequence[Section], diagnosis: Diagnosis) -> list[Section]:
    """The sections with the timeline in front, marked, where the record has a clock; what is behind keeps its order."""
    line = next((s for s in sections if s.id == "over-time" and s.chart is not None and s.chart.at), None)
    if line is None:
        return list(sections)
    return [marked(line, diagnosis), *(s for s in sections if s is not line)]


def marked(section: Section, diagnosis: Diagnosis) -> Section:
    """The timeline with changes as marks and the incident as a shade."""
    chart, incident = section.chart, diagnosis.incident
    assert chart is not None
    start, end = chart.at[0], chart.at[-1]
    inside = [c for c in diagnosis.changes if c.at is not None and start <= c.at <= end]
    notes = [(c.at, _says(c)) for c in inside[:MARKED] if c.at is not None]
    shade = None
    if (
        incident is not None
        and incident.since is not None
        and not incident.from_start
        and start <= incident.since <= end
    ):
        shade = (incident.since, end if incident.until is None else min(incident.until, end))
    says = section.sentence
    if notes:
        says += f" Marked: {'; '.join(f'{clock(at)} {what}' for at, what in notes[:4])}"
        says += f"; and {len(inside) - 4} more." if len(inside) > 4 else "."
    return replace(section, sentence=says, chart=replace(chart, notes=notes, shade=shade))


def _says(change: Change) -> str:
    if change.says is not None:
        return change.says[:80]
    before, after = (("?" if v is None else figure(v, change.what)) for v in (change.before, change.after))
    return f"{_WORDS.get(change.what, change.what)} {before} to {after}"
