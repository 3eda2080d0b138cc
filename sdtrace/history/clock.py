"""What the clock of this machine allows: a night that is ahead of it by more than a day is none yet."""

import time
from datetime import UTC, date, datetime, timedelta

#: What clocks may differ by: time zones, and machines that are not set well.
AHEAD = timedelta(days=1)
#: The first night there may be; before it a time is no Unix time but a clock of a log's own.
FIRST = date(2001, 9, 9)


def now() -> float:
    """Unix seconds."""
    return time.time()


def today() -> date:
    """The day, UTC."""
    return datetime.fromtimestamp(now(), UTC).date()


def last_night() -> date:
    """The latest night that is believed."""
    return today() + AHEAD


def last_time() -> float:
    """The latest Unix time that is believed."""
    return now() + AHEAD.total_seconds()


def night(text: str) -> date:
    """The date of YYYY-MM-DD, and of nothing else. Raises ValueError."""
    found = date.fromisoformat(text)
    if found.isoformat() != text:
        raise ValueError(text)
    return found
