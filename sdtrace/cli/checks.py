"""`sdtrace checks`: the catalogue and the manual pages."""

import click

from sdtrace.cli import outputs


@click.command("checks", cls=outputs.Verb)
@click.argument("code", required=False)
def command(code: str | None) -> int:
    """List every check, or print the manual page of one (by code or name); `known` lists the known issues."""
    from sdtrace.checks import CHECKS, by_code
    from sdtrace.render import terminal

    if code == "known":
        from sdtrace.diagnosis.known import ISSUES

        click.echo(terminal.issues(ISSUES), nl=False)
        return 0
    click.echo(terminal.page(by_code(code)) if code else terminal.catalogue(CHECKS), nl=False)
    return 0
