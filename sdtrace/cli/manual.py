"""`sdtrace manual`: the manual as a static site."""

from pathlib import Path

import click

from sdtrace import atomic
from sdtrace.cli import outputs


@click.command("manual", cls=outputs.Verb)
@click.option(
    "-o", "--output", type=outputs.FOLDER, metavar="DIR", required=True, help="The folder; made if it is not there."
)
@click.pass_context
def command(ctx: click.Context, output: str) -> int:
    """Write the manual as a static site: topics, commands, causes, checks, rules, formats; open DIR/index.html.

    It needs no server and no network, and is searched without either.
    """
    from sdtrace.cli.help import pages
    from sdtrace.errors import OutputError
    from sdtrace.render import site

    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{output}: {error.strerror}", "name a folder that can be made and written") from None
    known = list(pages(ctx))
    for name, content in site.files(known):
        atomic.write(folder / name, content, inside=folder)
    click.echo(f"{folder / 'index.html'}: {len(known)} pages")
    return 0
