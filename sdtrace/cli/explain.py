"""`sdtrace explain`: the reasoning for every drafted token."""

import click

from sdtrace.cli import options, outputs


@click.command("explain", cls=outputs.Verb)
@click.argument("path", metavar="CASE.csv|TRACE")
@click.option("--request", metavar="ID", help="Which request of a trace.")
@click.option("--step", type=int, metavar="N", help="Which step of it; all of them without.")
@click.option("--run", metavar="ID", help="Which run, where two have the same request.")
@options.reading
@click.option(
    "--json",
    "json_",
    type=outputs.FILE,
    metavar="FILE",
    is_flag=False,
    flag_value="-",
    help="The document as JSON, to FILE or standard output.",
)
def command(
    path: str, request: str | None, step: int | None, run: str | None, format_: str | None, json_: str | None
) -> int:
    """Why each drafted token was accepted or rejected, in words and numbers.

    CASE.csv has the columns token,target,draft,r. In a TRACE the request must be named.
    """
    from sdtrace.api import explain
    from sdtrace.render import json, terminal

    told = explain(path, request=request, step=step, run=run, format=format_)
    if json_:
        options.write(json_, json.document(told))
    else:
        click.echo(terminal.explanation(told), nl=False)
    return 0
