"""Flags that mean the same in every command, and how outputs are written."""

import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click

from sdtrace import atomic
from sdtrace.cli import times
from sdtrace.errors import UsageError
from sdtrace.limits import USUAL, Limits, option, size, within

F = TypeVar("F", bound=Callable[..., Any])


def inputs(function: F) -> F:
    """INPUT..., and how it is read."""
    return reading(click.argument("paths", metavar="INPUT...", nargs=-1, required=True)(function))


def _spans(ctx: click.Context, _: click.Parameter, given: tuple[str, ...]) -> None:
    """Names of spans of a profile, in force while the command runs. Raises UsageError for a part that there is not."""
    if not given:
        return
    from sdtrace.readers.profiler.names import PARTS, naming

    named = []
    for text in given:
        part, name = [*text.split("=", 1), ""][:2]
        known = next((one for one in PARTS if one == part.strip()), None)
        if known is None or not name:
            raise UsageError(
                f"invalid --span {text!r}", f"PART=NAME, PART one of {', '.join(PARTS)}: --span draft='my draft*'"
            )
        named.append((known, name))
    ctx.with_resource(naming(named))


def reading(function: F) -> F:
    """--format, --span, and the limits of what is read."""
    function = limits(*(f.name for f in fields(Limits)))(function)
    text = "In a profile, spans of this name are that part: draft, verify, sample or step. * stands for any letters. Repeatable."
    function = click.option(
        "--span", multiple=True, callback=_spans, expose_value=False, metavar="PART=NAME", help=text
    )(function)
    return click.option("--format", "format_", metavar="NAME", help="Force a reader instead of asking all.")(function)


def _amount(text: str) -> float:
    """Bytes as 32M, 2G; a ratio or seconds as a number."""
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?)\s*([kmgt]?)(?:i?b|s)?", text.strip().lower())
    amount = float(found[1]) * 1024.0 ** " kmgt".index(found[2] or " ") if found else 0.0
    if amount <= 0:
        raise UsageError(f"invalid size {text!r}", "write 32M, 2G or a number above 0")
    return amount


def limits(*names: str) -> Callable[[F], F]:
    """Options for some of the limits of what is read; they hold while the command runs."""

    def met(ctx: click.Context, param: click.Parameter, value: float | None) -> None:
        if value is not None and param.name is not None:
            kind = type(getattr(USUAL, param.name))
            ctx.with_resource(within(**{param.name: kind(value)}))

    def decorate(function: F) -> F:
        for known in reversed([f for f in fields(Limits) if f.name in names]):
            usual = size(getattr(USUAL, known.name))
            text = f"{known.metadata['bounds']}  [default: {usual}]"
            one = click.option(
                option(known.name), type=_amount, metavar="N", expose_value=False, callback=met, help=text
            )
            function = one(function)
        return function

    return decorate


def window(function: F) -> F:
    """--since, --until, --where."""
    help_since = "Only steps from this time on: 2h, '30 min ago', or ISO 8601."
    function = click.option("--since", callback=times.at_moment, metavar="TIME", help=help_since)(function)
    function = click.option("--until", callback=times.at_moment, metavar="TIME", help="Only steps up to this time.")(
        function
    )
    help_where = "Only requests like this: tags.KEY=VALUE, temperature=0. Repeatable."
    return click.option("--where", multiple=True, metavar="COND", help=help_where)(function)


def engine(function: F) -> F:
    """--rate, --concurrency, --api-key-env: how a server is asked."""
    function = click.option(
        "--api-key-env",
        default="SDTRACE_API_KEY",
        show_default=True,
        metavar="NAME",
        help="Variable that holds the server's key.",
    )(function)
    function = click.option(
        "--concurrency",
        type=click.IntRange(1, 256),
        default=4,
        show_default=True,
        help="Requests to a server at a time.",
    )(function)
    return click.option(
        "--rate", type=click.FloatRange(0), default=0.0, help="Requests a second at most; 0 = no limit."
    )(function)


def of_engine(verifier: str, given: dict[str, Any]) -> dict[str, Any]:
    """The same as arguments, where the verifier is a server."""
    if not verifier.startswith(("http://", "https://")):
        return {}
    return {"key_from": given["api_key_env"], "concurrency": given["concurrency"], "rate": given["rate"]}


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


def list_width() -> int:
    """Columns of a list: those of the terminal, or wide where a pipe or a file takes a line each."""
    return width() if sys.stdout.isatty() or "COLUMNS" in os.environ else 200


def colour() -> bool:
    """Colour only on a terminal, and never against NO_COLOR."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
