"""`sdtrace bundle`: the evidence in one file."""

import click

from sdtrace.cli import options, outputs, results


@click.command("bundle", cls=outputs.Verb)
@options.inputs
@click.option(
    "-o",
    "--output",
    type=outputs.FILE,
    metavar="FILE.zip",
    required=True,
    help="Write the bundle there; - is standard output.",
)
@click.option(
    "--content", type=click.Choice(["none", "ids"]), default="none", show_default=True, help="Content packed."
)
def command(paths: tuple[str, ...], format_: str | None, output: str, content: str) -> int:
    """Pack the evidence of a report for a postmortem or an issue: the steps concerned, the report, versions, commands.

    Nothing that can be read back to text goes in: token ids are renumbered, prompts and tags left out, unless
    --content ids is given. `sdtrace report FILE.zip` reads a bundle.
    """
    from sdtrace.api import report
    from sdtrace.errors import NoInputError
    from sdtrace.pipeline import read
    from sdtrace.render import html, json
    from sdtrace.render.text import clean
    from sdtrace.writers.bundle import concerned, pack, piece

    ids = content == "ids"
    found = results.configured(report(paths, format=format_, ids=ids))
    part = piece(read(list(paths), format=format_), concerned(found), ids=ids)
    if part.steps.is_empty():
        raise NoInputError(
            f"{paths[0]}: no step to pack", "bundles hold steps; counts and logs are handed on as they are"
        )
    options.write(output, pack(found, part, html.page(found), json.dumps(found), ids=ids))
    requests = part.steps["request_id"].n_unique()
    click.echo(f"{part.steps.height:,} steps of {requests:,} requests packed into {clean(output)}", err=True)
    return 0
