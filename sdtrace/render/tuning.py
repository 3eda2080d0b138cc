"""What `sdtrace tune` prints: the answer first, then the tables, then what to set."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from sdtrace.render.tables import table
from sdtrace.render.terminal import field
from sdtrace.render.text import cell, clean, lean, number
from sdtrace.results.not_checked import sentences
from sdtrace.results.numbers import ms, per_step
from sdtrace.results.report import Report, Section, Value
from sdtrace.tuning.sections import ADVICE

_COUNTS = (
    "counts do not tell which tokens would be accepted at another draft length; record a trace: sdtrace help recording"
)
#: Rows of a table on the terminal; the page and the JSON have all.
ROWS = 16


def summary(report: Report, *, width: int, color: bool = False) -> str:
    """The tuning sections, plain."""
    verdict = report.document["verdict"]
    lines = []
    if verdict["state"] == "wrong":
        lines += _wrapped(
            f"WRONG first: {verdict['headline']}. What follows holds only after that is mended.", width, ""
        )
        lines.append("")
    if report.document["tuning"] is None:
        why = next((n for n in sentences(m for m in report.not_checked if m.code == "tuning")), _COUNTS)
        return "\n".join([*lines, *_wrapped(why, width, "")]) + "\n"
    advice = report.document["tuning"]["advice"]
    tau = report.document["tuning"]["tau"]
    if tau["best"] is None and not any(row["what"] == "keep" for row in advice):
        lines += _said("best", "not known from this input", width, color=color)
    for row in advice:
        lines += _said(_LABELS.get(row["what"], row["what"]), row["text"], width, color=color)
        # on a line of its own, never broken: it is there to be copied
        lines += [f"         {clean(row['setting'], 1000)}"] if row["setting"] else []
        if row is advice[0]:
            lines += _said("now", _now(tau), width, color=color)
    for section in report.sections:
        if section.id.startswith("tune-") and section.id != ADVICE:
            lines += ["", *_section(section, width, color=color)]
    lines += ["", *(_line for note in report.document["tuning"]["notes"] for _line in _wrapped(note, width, "  "))]
    return "\n".join(lines).rstrip("\n") + "\n"


#: How the kinds of advice begin; the keys are those of the JSON.
_LABELS = {"tau": "best", "keep": "best", "batch-table": "batches", "explore": "open", "log": "to log"}


def _said(label: str, text: str, width: int, *, color: bool) -> list[str]:
    first, *rest = field(label, clean(text, 900), width)
    return [first.replace(label, f"\x1b[1m{label}\x1b[0m", 1) if color else first, *rest]


def _now(tau: Mapping[str, Any]) -> str:
    """The draft length of the record, and what it gives."""
    point = next((p for p in tau["curve"] if p["tau"] == tau["current"]), None)
    if point is None or point["tokens_per_step"] is None:
        return f"draft length (k) {number(tau['current'])}"
    step = "" if point["step_ms"] is None else f", {ms(point['step_ms'])} a step"
    return f"draft length (k) {tau['current']}: {per_step(point['tokens_per_step'])} tokens per step{step}"


def _section(section: Section, width: int, *, color: bool) -> list[str]:
    title = section.title.upper()
    lines = [f"\x1b[1m{title}\x1b[0m" if color else title, *_wrapped(section.sentence, width, "")]
    section = lean(section)
    shown = [[_cell(section, row, i) for i in range(len(row))] for row in section.rows[:ROWS]]
    lines += table(section.columns, shown, width=width, color=color)
    if len(section.rows) > ROWS:
        lines.append(f"  and {len(section.rows) - ROWS} more in --json and -o")
    return lines


def _cell(section: Section, row: Sequence[Value], i: int) -> str:
    value = row[i]
    if value is None:
        return "-"
    return cell(section, row, i) if isinstance(value, int | float) else clean(value, 300)


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(clean(text, 900), width, subsequent_indent=indent, break_on_hyphens=False) or [""]
