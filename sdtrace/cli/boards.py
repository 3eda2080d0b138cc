"""Options of the verbs that write boards: which engines, whose targets, behind Ray Serve or not."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sdtrace import atomic
from sdtrace.errors import UsageError

if TYPE_CHECKING:
    from sdtrace.render.boards.figures import Engine, Names

F = TypeVar("F", bound=Callable[..., Any])


def options(command: F) -> F:
    """--engine, --match and --ray."""
    command = click.option("--ray", is_flag=True, help="Names as Ray Serve exports them: ray_vllm_...")(command)
    command = click.option(
        "--match", metavar="LABELS", default="", help='Only these targets, in PromQL: \'job="vllm",env="prod"\'.'
    )(command)
    return click.option(
        "--engine", "engines", multiple=True, metavar="NAME", help="Only this engine (vllm, sglang, ...). Repeatable."
    )(command)


def engines(given: Mapping[str, Any]) -> Sequence["Engine"]:
    """The engines that are asked for. Raises UsageError for an unknown one."""
    from sdtrace.render.boards.figures import ENGINES

    known = {engine.name: engine for engine in ENGINES}
    for name in given["engines"]:
        if name not in known:
            raise UsageError(f"--engine {name}: no metrics of it are known", "known: " + ", ".join(known))
    return [known[name] for name in given["engines"]] or ENGINES


def names(given: Mapping[str, Any]) -> "Names":
    """How metrics are named. Raises UsageError where --match is not a list of PromQL matchers."""
    import re

    from sdtrace.render.boards.figures import Names

    one = r'[a-zA-Z_]\w*\s*(?:=~|!~|!=|=)\s*"(?:[^"\\\n]|\\.)*"'
    match = given["match"].strip()
    if match and not re.fullmatch(rf"{one}(?:\s*,\s*{one})*", match):
        raise UsageError(f"--match {match}: not a list of label matchers", 'like: --match \'job="vllm",env=~"prod.*"\'')
    return Names(given["ray"], match)


def write(output: str, content: bytes, use: str) -> None:
    """To a file, whole or not at all, with what to do with it; or to standard output."""
    if output == "-":
        sys.stdout.buffer.write(content)
        return
    atomic.write(output, content)
    click.echo(f"{output}: {use}", err=True)
