"""What `sdtrace tune` prints: the answer first, then the tables, then what to set."""

import textwrap
from collections.abc import Mapping
from typing import Any

from sdtrace.render.tables import table
from sdtrace.render.text import clean, number
from sdtrace.results.not_checked import sentences
from sdtrace.results.report import Report, Section

_COUNTS = (
    "tuning: counts do not tell which tokens would have been accepted at another length; give a trace of steps (README, "
    "Recording a trace)"
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
    for row in advice:
        head = f"\x1b[1m{row['what']}\x1b[0m" if color else row["what"]
        lines += _wrapped(f"{row['what']}: {row['text']}", width, "    ")
        lines[-_height(row, width)] = lines[-_height(row, width)].replace(row["what"], head, 1)
        # on a line of its own, never broken: it is there to be copied
        lines += [f"    {clean(row['setting'], 1000)}"] if row["setting"] else []
    for section in report.sections:
        if section.id.startswith("tune-") and section.id != "tune-advice":
            lines += ["", *_section(section, width, color=color)]
    lines += ["", *(_line for note in report.document["tuning"]["notes"] for _line in _wrapped(note, width, "  "))]
    return "\n".join(lines).rstrip("\n") + "\n"


def _height(row: Mapping[str, Any], width: int) -> int:
    return len(_wrapped(f"{row['what']}: {row['text']}", width, "    "))


def _section(section: Section, width: int, *, color: bool) -> list[str]:
    title = section.title.upper()
    lines = [f"\x1b[1m{title}\x1b[0m" if color else title, *_wrapped(section.sentence, width, "")]
    shown = [[_cell(value) for value in row] for row in section.rows[:ROWS]]
    lines += table(section.columns, shown, width=width, color=color)
    if len(section.rows) > ROWS:
        lines.append(f"  and {len(section.rows) - ROWS} more in --json and -o")
    return lines


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return (
        f"{value:.4g}" if isinstance(value, float) else clean(number(value) if isinstance(value, int) else value, 300)
    )


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(clean(text, 900), width, subsequent_indent=indent, break_on_hyphens=False) or [""]
