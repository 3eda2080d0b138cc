"""What a command writes: options that name a file are of one type, and none may put an end to an input."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import click

from sdtrace.errors import NoInputError, SdtraceError, UsageError

F = TypeVar("F", bound=Callable[..., Any])


class Output(click.Path):
    """The path of a file or folder that is written."""


FILE, FOLDER = Output(readable=False), Output(readable=False)


def html(help: str) -> Callable[[F], F]:
    """-o FILE.html"""
    return click.option("-o", "--output", type=FILE, callback=_page, metavar="FILE.html", help=help)


class Verb(click.Command):
    """A command that looks at its configuration and its outputs before it does anything."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it. Raises UsageError where an output is one of the inputs, or where a folder's configuration goes too far."""
        if ctx.obj is not None:
            from sdtrace.cli.config import enforce

            enforce(self, ctx)
        written = [str(ctx.params[p.name]) for p in self.params if p.type is FILE and p.name and ctx.params[p.name]]
        apart(_inputs(self, ctx), written)
        return super().invoke(ctx)


def _inputs(command: click.Command, ctx: click.Context) -> Iterator[str]:
    for argument in command.params:
        if isinstance(argument, click.Argument) and not isinstance(argument.type, Output) and argument.name:
            value = ctx.params[argument.name]
            yield from (value,) if isinstance(value, str) else value or ()


def _page(ctx: click.Context, _: click.Parameter, value: str | None) -> str | None:
    """The name of an HTML report. Raises UsageError where it promises another format."""
    ending = os.path.splitext(value or "")[1].lower()
    if value is None or ending in ("", ".html", ".htm") or not ending[1:].isalpha():
        return value
    flag = {"xml": "--junit", "md": "--markdown", "prom": "--prometheus"}.get(ending[1:], f"--{ending[1:]}")
    known = any(flag in option.opts for option in ctx.command.params)
    raise UsageError(
        f"-o {value}: the report is an HTML page, not {ending[1:]}",
        f"{flag} {value} writes that format" if known else "end the name in .html; a browser prints the page as PDF",
    )


def apart(inputs: Iterable[str], files: Iterable[str]) -> None:
    """Raises UsageError where one of `files` is an input, by whatever name or link."""
    there = {_identity(file): file for file in files if file != "-"}
    there.pop(None, None)
    if not there:
        return
    from sdtrace.readers.io.paths import expand

    for path in inputs:
        if "://" in path:
            continue
        try:
            named = expand([path])
        except SdtraceError:
            continue  # told when it is read
        for one in named:
            found = there.get(_identity(one))
            if found is not None and (one == path or not os.path.isdir(path) or _is_input(one)):
                raise UsageError(f"{found}: is the input {one}", "write to another file; the input was left as it is")


def _identity(path: str) -> tuple[int, int] | None:
    """Device and inode of a plain file; None where there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if os.path.isfile(path) else None


def _is_input(path: str) -> bool:
    """Whether a reader knows a file of a folder: the page of an earlier report may stand beside the logs."""
    from sdtrace.readers import open_inputs

    try:
        open_inputs([path])
    except NoInputError:
        return False
    except SdtraceError:
        return True
    return True
