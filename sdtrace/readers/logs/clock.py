"""Clocks of text logs: which stamp a line carries, in Unix seconds. Naive stamps are taken as UTC."""

import os
import re
from datetime import UTC, datetime
from pathlib import Path

_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)?")


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


def year_hint(path: str) -> int:
    """The year for stamps that carry none: of the file's last change; 1970 for standard input."""
    try:
        return datetime.fromtimestamp(os.stat(Path(path)).st_mtime, UTC).year
    except OSError:
        return 1970
