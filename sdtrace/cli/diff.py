"""`sdtrace diff`: what changed."""

import shutil
from typing import Any

import click

from sdtrace.cli import options
from sdtrace.cli.report import LEVELS, exit_code


@click.command("diff")
@click.argument("base", metavar="BASE")
@click.argument("candidate", metavar="CANDIDATE")
@click.option("--format", "format_", metavar="NAME", help="Force a reader instead of asking all.")
@options.window
@click.option(
    "--margin",
    type=click.FloatRange(0.0, 1.0, min_open=True),
    default=0.03,
    show_default=True,
    help="Relative change of speed that nobody minds.",
)
@click.option("-o", "--output", metavar="FILE.html", help="Write the HTML report there.")
@click.option("--json", "json_", metavar="FILE", help="Write the JSON document there; - is standard output.")
@click.option(
    "--fail-on", type=click.Choice(list(LEVELS)), default="wrong", show_default=True, help="Exit 1 at this or worse."
)
@click.option("--require-evidence", is_flag=True, help="Exit 4 when the comparison is inconclusive.")
@click.option("--exit-zero", is_flag=True, help="Exit 0 whatever is found.")
@click.option("-q", "--quiet", is_flag=True, help="No summary on the terminal.")
def command(base: str, candidate: str, **given: Any) -> int:
    """Compare two traces, logs or records: regressed, improved, fine within the margin, or inconclusive.

    A regression counts as slow, new wrong decisions as wrong: --fail-on slow makes both fail.
    """
    from sdtrace.api import diff  # heavy imports only when there is work
    from sdtrace.render import difference, html, json

    found = diff(
        base,
        candidate,
        format=given["format_"],
        since=options.moment(given["since"]),
        until=options.moment(given["until"]),
        where=given["where"],
        margin=given["margin"],
    )
    if given["output"]:
        options.write(given["output"], html.page(found))
    if given["json_"]:
        options.write(given["json_"], json.dumps(found))
    if not given["quiet"] and given["json_"] != "-":
        width = min(shutil.get_terminal_size((100, 24)).columns, 120)
        click.echo(difference.summary(found, width=width, color=options.colour()), nl=False)
    return exit_code(found.document, given)
