"""`sdtrace bundle`: the evidence in one file."""

import shlex
from dataclasses import replace

import click

from sdtrace.cli import options, outputs, progress, results


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
@click.option("-q", "--quiet", is_flag=True, help="Say nothing.")
def command(paths: tuple[str, ...], format_: str | None, output: str, content: str, *, quiet: bool) -> int:
    """Pack the evidence of a report for a postmortem or an issue: the steps concerned, the report, versions, commands.

    Nothing in it leads back to text or to a person. Token ids are renumbered. Requests get other names. Prompts, tags and user
    names in paths are left out. --content ids packs what was recorded instead. `sdtrace report FILE.zip` reads a bundle.
    """
    from sdtrace.api import report
    from sdtrace.errors import NoInputError
    from sdtrace.pipeline import read
    from sdtrace.redaction import nameless
    from sdtrace.render import html, json
    from sdtrace.render.text import clean, counted
    from sdtrace.writers.bundle import concerned, pack, piece
    from sdtrace.writers.disguise import Disguise, key_of

    ids = content == "ids"
    inputs = read(list(paths), format=format_)
    if not ids:
        key = key_of(one.source for one in inputs)
        inputs = [replace(one, path=nameless(one.path), disguise=Disguise(key)) for one in inputs]
    with progress.reading(quiet=quiet):
        found = results.configured(report(inputs, format=format_, ids=ids))
        part = piece(inputs, concerned(found), ids=ids)
    if part.steps.is_empty():
        raise NoInputError(
            f"{paths[0]}: no step to pack", "bundles hold steps; counts and logs are handed on as they are"
        )
    options.write(output, pack(found, part, html.page(found), json.dumps(found), ids=ids))
    if not quiet:
        requests = part.steps["request_id"].n_unique()
        packed = f"{counted(part.steps.height, 'steps')} of {counted(requests, 'requests')}"
        again = "" if output == "-" else f"; read it with\n  sdtrace report {shlex.quote(clean(output))}"
        click.echo(f"{packed} packed into {clean(output)}{again}", err=True)
    return 0
