"""`sdtrace help`: the manual."""

from dataclasses import fields

import click

from sdtrace.cli import options, outputs
from sdtrace.errors import UsageError


@click.command("help", cls=outputs.Verb)
@click.argument("topic", required=False)
@click.pass_context
def command(ctx: click.Context, topic: str | None) -> int:
    """A page of the manual; without TOPIC, all topics. A command or a check is a topic too."""
    from sdtrace.cli import VERBS
    from sdtrace.render import manual, terminal

    pages = manual.topics()
    if topic is None:
        width = max(map(len, pages))
        click.echo("Topics: sdtrace help TOPIC\n")
        for name, says in pages.items():
            click.echo(f"  {name:<{width}}  {says}")
        click.echo("\nCommands: sdtrace help COMMAND, or COMMAND --help. Checks: sdtrace checks [CODE].")
        return 0
    name = topic.lower()
    if name in pages:
        click.echo(manual.shown(manual.page(name, figures()), options.width(), options.colour()), nl=False)
        return 0
    if name in VERBS and ctx.parent is not None:
        verb = ctx.parent.command.get_command(ctx.parent, name) if isinstance(ctx.parent.command, click.Group) else None
        assert verb is not None
        click.echo(verb.get_help(click.Context(verb, info_name=name, parent=ctx.parent)))
        return 0
    from sdtrace.checks import CHECKS

    for check in CHECKS:
        if name in (check.code.lower(), check.name):
            click.echo(terminal.page(check), nl=False)
            return 0
    known = [*pages, *VERBS, *(check.name for check in CHECKS)]
    raise UsageError(f"{topic}: no such topic", manual.nearest(name, known) if len(name) > 2 else "sdtrace help")


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
