"""Times on the command line: points in time (--since 2h, --until 2026-11-28T10:00) and stretches (--for 60s, --every 500ms).

A unit that is not in UNITS is refused, never shortened to one that is.
"""

import math
import re
import time
from datetime import UTC, datetime

import click

from sdtrace.errors import UsageError

#: Seconds of a unit, by every word for it. Written small or large, but for M: month or minute, nobody can tell.
UNITS = {
    word: seconds
    for words, seconds in {
        "ms msec msecs millisecond milliseconds": 0.001,
        "s sec secs second seconds": 1.0,
        "m min mins minute minutes": 60.0,
        "h hr hrs hour hours": 3600.0,
        "d day days": 86400.0,
        "w wk wks week weeks": 604800.0,
    }.items()
    for word in words.split()
}
_PART = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([^\W\d_]+)\s*")


def seconds(text: str, bare: float | None = None) -> float | None:
    """Seconds of `90 minutes`, `1 hr`, `1h30m`; of a number without a unit, `bare` seconds each. None for anything else."""
    rest, total = text.strip(), 0.0
    if bare is not None and re.fullmatch(r"\d+(?:\.\d+)?|\.\d+", rest):
        return float(rest) * bare
    while rest:
        part = _PART.match(rest)
        unit = None if part is None or part[2] == "M" else UNITS.get(part[2].lower())
        if part is None or unit is None:
            return None
        total, rest = total + float(part[1]) * unit, rest[part.end() :]
    return total if text.strip() else None


def moment(text: str, now: float) -> float | None:
    """A point in time as Unix seconds: an age such as 2h or '30 min ago', ISO 8601 (UTC where no zone is given), or Unix
    seconds. None for anything else; an age below a second is nobody's, but a slip of the unit."""
    text = text.strip()
    age = seconds(text.removesuffix("ago").rstrip())
    if age is not None:
        return now - age if age >= 1.0 else None
    try:
        when = datetime.fromisoformat(text)  # before numbers: 20261128 is a date
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        pass
    try:
        at = float(text)
    except ValueError:
        return None
    return at if math.isfinite(at) else None


def at_moment(_: click.Context, flag: click.Parameter, text: str | None) -> float | None:
    """Callback of an option that is a point in time; its value is Unix seconds."""
    if text is None:
        return None
    at = moment(text, time.time())
    if at is None:
        raise UsageError(f"Invalid {flag.opts[0]} value {text!r}", f"use 2h, 30m or 2026-11-28T10:00{_slip(text)}")
    return at


def long(_: click.Context, flag: click.Parameter, text: str | None) -> float | None:
    """Callback of an option that is a stretch of time; its value is seconds, which a number without a unit is too."""
    if text is None:
        return None
    length = seconds(text, bare=1.0)
    if length is None or not math.isfinite(length):
        raise UsageError(f"Invalid {flag.opts[0]} value {text!r}", "use 60s, 5m or 2h")
    return length


def _slip(text: str) -> str:
    """Of 2ms, that minutes are m."""
    return (
        "; minutes are m, seconds are s" if re.search(r"\d\s*m(s|illi|o)", text.lower()) or text.endswith("M") else ""
    )
