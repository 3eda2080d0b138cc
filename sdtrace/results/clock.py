"""Times as people read them: in UTC, or in seconds of a log's own clock."""

from datetime import UTC, datetime

#: A clock below it is a log's own, seconds from its start; beyond the other one no calendar goes.
WALL, LATEST = 1e8, 2.5e11


def clock(at: float | None, line: int | None = None) -> str:
    """The time of day in UTC, or seconds of a log's own clock; the line where there is no clock."""
    if at is None:
        return "an unknown time" if line is None else f"line {line}"
    return f"{at:,.0f} s" if at < WALL else formatted(at, "%H:%M:%S")


def moment(at: float) -> str:
    """Date and time of day in UTC, or seconds of a log's own clock."""
    return f"{at:,.1f} s of its own clock" if at < WALL else formatted(at, "%Y-%m-%d %H:%M:%S UTC")


def formatted(at: float, form: str) -> str:
    """Unix seconds in UTC; a time that no calendar has, as damaged records hold it, as a number."""
    return datetime.fromtimestamp(at, UTC).strftime(form) if 0 <= at < LATEST else f"{at:.6g} s"
