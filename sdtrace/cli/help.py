"""`sdtrace help`: the manual."""

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING

import click

from sdtrace.cli import options, outputs
from sdtrace.errors import UsageError, nearest

if TYPE_CHECKING:
    from sdtrace.render.pages import Page


@click.command("help", cls=outputs.Verb)
@click.argument("words", metavar="[TOPIC|QUESTION]...", nargs=-1)
@click.pass_context
def command(ctx: click.Context, words: tuple[str, ...]) -> int:
    """A page of the manual; without TOPIC, all topics. A command, cause, check, rule or format is a topic too.

    Other words are looked for in all pages: sdtrace help what is a bonus token.
    """
    from sdtrace.cli import VERBS
    from sdtrace.render import manual
    from sdtrace.render.answers import answers
    from sdtrace.render.tables import table

    topic = " ".join(words)
    if not topic:
        rows = [[name, says.partition(". ")[0].rstrip(".")] for name, says in manual.topics().items()]
        click.echo("Topics: sdtrace help TOPIC\n")
        click.echo("\n".join(table(["topic", "what"], rows, width=options.width(), color=options.colour(), wrapped=1)))
        click.echo("\nCommands, causes, checks (SD204), verification rules and input formats are topics too.")
        click.echo(
            "sdtrace help how do I record: finds an answer by its words.\nsdtrace manual -o DIR writes all pages as a site."
        )
        return 0
    name = topic.lower()
    if name in VERBS and name not in manual.topics():
        click.echo(_usage(ctx, name))
        return 0
    known = list(pages(ctx))
    for page in known:
        if name in (page.name, page.also):
            click.echo(manual.shown(page.markdown, options.width(), options.colour()), nl=False)
            return 0
    near = nearest(name, [n for page in known for n in (page.name, page.also) if n])
    slip = len(words) == 1 and len(name) > 2 and "did you mean" in near
    if not slip and "/" not in name and (found := answers(known, name)):
        click.echo(manual.shown(found[0].markdown, options.width(), options.colour()), nl=False)
        click.echo(f"\nFrom: sdtrace help {found[0].page.name}")
        also = dict.fromkeys(part.page.name for part in found if part.page.name != found[0].page.name)
        click.echo("".join(f"See:  sdtrace help {name}\n" for name in also), nl=False)
        return 0
    raise UsageError(f"{topic}: no such topic", near if slip else "sdtrace help lists them")


def pages(ctx: click.Context) -> Iterator["Page"]:
    """Every page: topics by hand, commands, and what the code declares."""
    from sdtrace.cli import VERBS
    from sdtrace.render import manual
    from sdtrace.render.pages import Page, generated

    known = figures()
    for name in manual.topics():
        text = manual.page(name, known)
        yield Page("topic", name, text.partition("\n")[0].removeprefix("# "), text)
    for verb, says in VERBS.items():
        usage = "\n".join(f"    {line}".rstrip() for line in _usage(ctx, verb).splitlines())
        yield Page("command", verb, f"sdtrace {verb}", f"# sdtrace {verb}\n\n{says}\n\n{usage}\n")
    yield from generated()


def _usage(ctx: click.Context, verb: str) -> str:
    """What `sdtrace VERB --help` prints."""
    assert ctx.parent is not None
    assert isinstance(ctx.parent.command, click.Group)
    found = ctx.parent.command.get_command(ctx.parent, verb)
    assert found is not None
    return found.get_help(click.Context(found, info_name=verb, parent=ctx.parent))


def figures() -> dict[str, str]:
    """What pages say of limits, from where the limits stand."""
    from sdtrace.cli.config import LONGEST
    from sdtrace.counters.downsample import KEPT
    from sdtrace.limits import FREE, USUAL, size
    from sdtrace.readers import counts, envelopes, json_value
    from sdtrace.readers.inputs import ONE_BY_ONE
    from sdtrace.readers.io import http, unpack
    from sdtrace.readers.metrics.prometheus_server import POINTS
    from sdtrace.writers.bundle import STEPS

    return {f.name: size(getattr(USUAL, f.name)) for f in fields(USUAL)} | {
        "free": f"{size(FREE)}B",
        "xz": f"{size(unpack.XZ)}B",
        "redirects": f"{http.REDIRECTS}",
        "points": f"{POINTS:,}",
        "nesting": f"{json_value.DEPTH}",
        "envelopes": f"{envelopes.DEPTH}",
        "positions": f"{counts.LONGEST:,}",
        "windows": f"{KEPT:,}",
        "losses": f"{ONE_BY_ONE:,}",
        "bundle_steps": f"{STEPS:,}",
        "config_bytes": f"{LONGEST:,}",
    }
