"""`sdtrace diff`: what changed."""

from functools import partial
from typing import Any

import click

from sdtrace.cli import options, outputs, progress, results


@click.command("diff", cls=outputs.Verb)
@click.argument("base", metavar="BASE")
@click.argument("candidate", metavar="CANDIDATE")
@options.reading
@options.window
@click.option(
    "--margin",
    type=click.FloatRange(0.0, 1.0, min_open=True),
    default=0.03,
    show_default=True,
    help="Ignore speed changes smaller than this fraction.",
)
@outputs.html("Write the HTML report there.")
@results.machines
@partial(results.judgement_at, "slow")
@click.option("-q", "--quiet", is_flag=True, help="No summary on the terminal.")
def command(base: str, candidate: str, **given: Any) -> int:
    """Compare two traces, logs or records: regressed, improved, fine within the margin, or inconclusive.

    Exit 1 where the candidate regressed or is wrong where the base was not. --fail-on wrong: only the second; --fail-on none: never.
    """
    from sdtrace.api import diff  # heavy imports only when there is work
    from sdtrace.render import difference, html

    results.understood(given)
    with progress.reading(quiet=given["quiet"]):
        found = diff(
            base,
            candidate,
            format=given["format_"],
            since=given["since"],
            until=given["until"],
            where=given["where"],
            margin=given["margin"],
        )
    if given["output"]:
        options.write(given["output"], html.page(results.configured(found)))
    taken = results.write(found, given)
    if not given["quiet"] and not taken:
        click.echo(difference.summary(found, width=options.width(), color=options.colour()), nl=False)
    return results.exit_code(found.document, given)
