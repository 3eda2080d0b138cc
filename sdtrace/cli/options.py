"""Flags that mean the same in every command, and how outputs are written."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from sdtrace import atomic
from sdtrace.cli import times

F = TypeVar("F", bound=Callable[..., Any])


def inputs(function: F) -> F:
    """INPUT..., and how it is read."""
    return reading(click.argument("paths", metavar="INPUT...", nargs=-1, required=True)(function))


def reading(function: F) -> F:
    """--format."""
    return click.option("--format", "format_", metavar="NAME", help="Force a reader instead of asking all.")(function)


def window(function: F) -> F:
    """--since, --until, --where."""
    help_since = "Only steps from then on: 2h, '30 min ago', or ISO 8601."
    function = click.option("--since", callback=times.at_moment, metavar="TIME", help=help_since)(function)
    function = click.option("--until", callback=times.at_moment, metavar="TIME", help="Only steps up to then.")(
        function
    )
    help_where = "Only requests like this: tags.KEY=VALUE, temperature=0. Repeatable."
    return click.option("--where", multiple=True, metavar="COND", help=help_where)(function)


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
