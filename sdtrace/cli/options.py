"""Flags that mean the same in every command, and how outputs are written."""

import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from sdtrace import atomic
from sdtrace.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}


def inputs(function: F) -> F:
    """INPUT... and --format."""
    function = click.argument("paths", metavar="INPUT...", nargs=-1, required=True)(function)
    return click.option("--format", "format_", metavar="NAME", help="Force a reader instead of asking all.")(function)


def window(function: F) -> F:
    """--since, --until, --where."""
    function = click.option("--since", metavar="TIME", help="Only steps from then on: 2h, '30 min ago', or ISO 8601.")(
        function
    )
    function = click.option("--until", metavar="TIME", help="Only steps up to then.")(function)
    help_where = "Only requests like this: tags.KEY=VALUE, temperature=0. Repeatable."
    return click.option("--where", multiple=True, metavar="COND", help=help_where)(function)


def moment(text: str | None) -> float | None:
    """A point in time as Unix seconds: ISO 8601, Unix seconds, or an age such as 2h or '30 min ago'."""
    if text is None:
        return None
    age = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]+?)(?:s|utes|ours|ays)?(?:\s+ago)?", text.strip())
    if age and age[2] in _UNITS:
        return time.time() - float(age[1]) * _UNITS[age[2]]
    try:
        return float(text)
    except ValueError:
        pass
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no time", "use 2h, '30 min ago', 2026-11-23T22:00 or Unix seconds") from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def duration(text: str) -> float:
    """Seconds of 90, 60s, 5m, 2h."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip())
    if not found or (found[2] or "s") not in _UNITS:
        raise UsageError(f"{text!r} is no stretch of time", "use 60s, 5m or 2h")
    return float(found[1]) * _UNITS[found[2] or "s"]


def write(path: str, data: bytes, *, inside: Path | None = None) -> None:
    """Write a file whole or not at all (see `atomic.writing`); `-` is standard output."""
    if path != "-":
        atomic.write(path, data, inside=inside)
        return
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def width() -> int:
    """Columns of the terminal, 120 at most."""
    return min(shutil.get_terminal_size((100, 24)).columns, 120)


def colour() -> bool:
    """Colour only on a terminal, and never against NO_COLOR."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
