"""Text from a log made fit to print: no control characters, no direction marks, no megabytes; numbers for people."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sdtrace.redaction import redacted
from sdtrace.results import numbers
from sdtrace.results.numbers import ms
from sdtrace.results.report import Section, Value
from sdtrace.results.words import is_share

#: Characters of a log-derived string that are shown; what is cut is counted.
LIMIT = 200

_BREAKS = {"\u2028", "\u2029", "\u0085"}


def clean(value: object, limit: int = LIMIT) -> str:
    """`value` as one line without credentials and without control, format and surrogate characters, cut with a count."""
    text = redacted(str(value))
    cut = len(text) - limit
    shown = text[:limit]
    if not (shown.isascii() and shown.isprintable()):
        shown = "".join(_safe(c) for c in shown)
    return f"{shown}... ({cut:,} more characters)" if cut > 0 else shown


def _safe(char: str) -> str:
    if char in _BREAKS or unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn"):
        return "\ufffd" if char != "\t" else " "
    return char


#: Blanks and breaks, as people see them.
_VISIBLE = str.maketrans({" ": "\u2423", "\n": "\u23ce", "\r": "\u240d", "\t": "\u21e5"})


def visible(text: str, limit: int) -> str:
    """The text of a token, cut, with its blanks and breaks to be seen."""
    return clean(text[: 4 * limit].translate(_VISIBLE), limit)


def sentence(text: str) -> str:
    """A phrase as a sentence: a capital first, but for a name with a capital inside (vLLM), and a full stop."""
    first = text.split(maxsplit=1)[0] if text.strip() else ""
    begun = text if any(c.isupper() for c in first) else text[:1].upper() + text[1:]
    return begun + ("" if text.endswith(".") else ".")


def number(value: object, digits: int = 3) -> str:
    """A figure for people: `unknown` for None, thousands separated, `digits` that count (as sentences have them)."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if value - value != 0:
            return "unknown"
        if value == 0:
            return "0"
        return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.{digits}g}"
    return clean(value)


def exact(value: object, name: str = "") -> str:
    """A probability, a draw or another value of one token, as evidence has it: two of them may stand close to each other.

    Tokens per step, by its `name`, is no value of one token.
    """
    return per_step(value) if isinstance(value, float) and name in numbers.PER_STEP else number(value, 4)


def per_step(value: float | None) -> str:
    """Tokens per step: `1.87`, everywhere the same; `unknown` for None."""
    return "unknown" if value is None or value - value != 0 else numbers.per_step(value)


def percent(value: float | None) -> str:
    """A share: `46.6%`; `unknown` for None."""
    return "unknown" if value is None or value - value != 0 else f"{value:.1%}"


def cell(section: Section, row: Sequence[Value], i: int) -> str:
    """A number of a table: a share as a percentage, tokens per step in two places, where its column or its row is declared as one.

    Ends of an interval have the digits of their value, unless the row names what it is.
    """
    value, names = row[i], [section.columns[_valued(section.columns, i)]]
    if "figure" in section.columns:
        names.append(str(row[section.columns.index("figure")]))
    if not isinstance(value, float):
        return number(value)
    if any(name in section.shares for name in (section.columns[i], *names[1:])):
        return percent(value)
    return per_step(value) if any(name in section.per_step for name in names) else number(value)


def _valued(columns: Sequence[str], i: int) -> int:
    """The column of the value whose interval ends in column `i`; a column of values is its own."""
    while i and columns[i].split(" ")[0] in ("low", "high"):
        i -= 1
    return i


def lean(section: Section) -> Section:
    """The section without columns that hold nothing, and without a chart of one point: its sentence and its row say that."""
    if section.chart is not None and section.chart.kind == "line" and len(section.chart.x) < 2:
        section = replace(section, chart=None)
    kept = [i for i in range(len(section.columns)) if any(row[i] is not None for row in section.rows)]
    if len(kept) == len(section.columns) or not section.rows:
        return section
    return replace(
        section, columns=[section.columns[i] for i in kept], rows=[[row[i] for i in kept] for row in section.rows]
    )


def counted(count: int, things: str) -> str:
    """`1 step`, `2,182 steps`."""
    return f"{count:,} {things if count != 1 else things.removesuffix('s')}"


def figure(name: str, value: float | None, *, rate: bool = True) -> str:
    """A figure with the unit that its name ends in; rates of acceptance in percent. `rate`: tokens per second say that they are."""
    if value is None:
        return "unknown"
    if is_share(name):
        return percent(value)
    if name.endswith("_ms"):
        return ms(value)
    if name in numbers.PER_STEP:
        return per_step(value)
    if name.endswith("tokens_per_second"):
        return f"{number(value)} tokens/s" if rate else number(value)
    return f"{number(value)} s" if name.endswith("_s") else number(value)


def configuration(flags: Mapping[str, Any]) -> str:
    """What a configuration file sets, as a line."""
    told = {flag: value if isinstance(value, list) else [value] for flag, value in flags.items()}
    return ", ".join(f"{flag} = {' and '.join(str(v) for v in values)}" for flag, values in told.items())
