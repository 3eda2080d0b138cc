"""Clocks of text logs: which stamp a line carries, in Unix seconds. Naive stamps are taken as UTC."""

import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path

_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)?")

_USUAL = re.compile(r"(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)")


def iso(text: str) -> float | None:
    """The first ISO stamp of a line, with its zone; None where there is none."""
    found = _ISO.search(text)
    if not found:
        return None
    year, month, day, hour, minute, second = (int(found[i]) for i in range(1, 7))
    fraction = float(f"0.{found[7]}") if found[7] else 0.0
    zone = found[8] or "Z"
    offset = 0 if zone == "Z" else (1 if zone[0] == "+" else -1) * (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60)
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp() + fraction - offset
    except ValueError:
        return None


DAY = 86_400.0


def newest_time(path: str) -> float:
    """The latest time that a line can be of: the file's last change; for standard input now."""
    try:
        return os.stat(Path(path)).st_mtime
    except OSError:
        return time.time()


def without_year(stamp: str, newest: float) -> float | None:
    """`MM-DD HH:MM:SS` in the year that lets it end before `newest`: December is of the year before January."""
    year = datetime.fromtimestamp(newest, UTC).year
    usual = _USUAL.fullmatch(stamp)
    for candidate in (year, year - 1):
        try:
            if usual is not None:  # a fourth of the time of strptime
                month, day, hour, minute, second = map(int, usual.groups())
                at = datetime(candidate, month, day, hour, minute, second, tzinfo=UTC).timestamp()
            else:
                at = datetime.strptime(f"{candidate}-{stamp}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
        if at <= newest + DAY:
            return at
    return None


def stamped(text: str, stamp: str | None, newest: float) -> float | None:
    """The time of a line: an ISO stamp in front, else the engine's own without a year."""
    if (at := iso(text[:100])) is not None:
        return at
    return without_year(stamp, newest) if stamp else None
