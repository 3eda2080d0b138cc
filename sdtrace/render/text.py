"""Text from a log made fit to print: no control characters, no direction marks, no megabytes; numbers for people."""

import unicodedata
from collections.abc import Mapping
from typing import Any

from sdtrace.redaction import redacted
from sdtrace.results.numbers import ms

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


def number(value: object) -> str:
    """A figure for people: `unknown` for None, thousands separated, 3 to 4 significant digits."""
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
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return clean(value)


def percent(value: float | None) -> str:
    """A share: `46.6%`; `unknown` for None."""
    return "unknown" if value is None or value - value != 0 else f"{value:.1%}"


def counted(count: int, things: str) -> str:
    """`1 step`, `2,182 steps`."""
    return f"{count:,} {things if count != 1 else things.removesuffix('s')}"


#: How the name of a figure ends -> its unit.
_UNITS = {"tokens_per_second": " tokens/s", "_s": " s"}


def figure(name: str, value: float | None) -> str:
    """A figure with the unit that its name ends in; rates of acceptance in percent."""
    if value is None:
        return "unknown"
    if name.startswith(("accepted_", "rate_of_")):
        return f"{value:.1%}"
    if name.endswith("_ms"):
        return ms(value)
    unit = next((unit for end, unit in _UNITS.items() if name.endswith(end)), "")
    return f"{number(value)}{unit}"


def configuration(flags: Mapping[str, Any]) -> str:
    """What a configuration file sets, as a line."""
    told = {flag: value if isinstance(value, list) else [value] for flag, value in flags.items()}
    return ", ".join(f"{flag} = {' and '.join(str(v) for v in values)}" for flag, values in told.items())
