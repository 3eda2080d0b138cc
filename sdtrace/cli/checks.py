"""`sdtrace checks`: the catalogue and the manual pages."""

import click

from sdtrace.cli import options, outputs


@click.command("checks", cls=outputs.Verb)
@click.argument("code", metavar="[CODE|NAME|CAUSE]", required=False)
def command(code: str | None) -> int:
    """List every check, or print the manual page of a check (by code or name) or of a cause; `known` lists the known issues."""
    from sdtrace.checks import CHECKS, by_code
    from sdtrace.render import manual, pages, terminal
    from sdtrace.results.cause_words import WORDS

    if code == "known":
        from sdtrace.diagnosis.known import ISSUES

        click.echo(terminal.issues(ISSUES), nl=False)
        return 0
    if code and code.lower() in WORDS:  # a check of the same name comes first
        if any(check.name == code.lower() for check in CHECKS):
            click.echo(terminal.page(by_code(code)))
        click.echo(manual.shown(pages.cause(code.lower()).markdown, options.width(), options.colour()), nl=False)
        return 0
    click.echo(terminal.page(by_code(code)) if code else terminal.catalogue(CHECKS, options.list_width()), nl=False)
    return 0
