"""`sdtrace explain`: the reasoning for every drafted token."""

import click

from sdtrace.cli import options, outputs
from sdtrace.errors import UsageError


@click.command("explain", cls=outputs.Verb)
@click.argument("path", metavar="CASE.csv|TRACE")
@click.option("--request", metavar="ID", help="Which request of a trace.")
@click.option("--step", type=int, metavar="N", help="Which step of it; all of them without.")
@click.option("--run", metavar="ID", help="Which run, where two have the same request.")
@click.option("--tokenizer", metavar="FOLDER", help="With --content text: where tokenizer.json is (extra text).")
@click.option(
    "--content", type=click.Choice(["ids", "text"]), default="ids", show_default=True, help="How tokens are shown."
)
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
@click.option(
    "-v", "--verbose", is_flag=True, help="Every step in full; without it, steps that follow the law are folded."
)
def command(
    path: str,
    request: str | None,
    step: int | None,
    run: str | None,
    format_: str | None,
    json_: str | None,
    tokenizer: str | None,
    content: str,
    *,
    verbose: bool,
) -> int:
    """Why each drafted token was accepted or rejected, in words and numbers.

    CASE.csv has the columns token,target,draft,r. Of a TRACE without --request, the requests that are worth a look are listed.
    """
    if (content == "text") != (tokenizer is not None):
        raise UsageError("--content text and --tokenizer FOLDER go together", "give both, or none of them for ids")
    from sdtrace.api import explain, worth_a_look
    from sdtrace.render import json, steps

    if request is None and (rows := worth_a_look(path, format=format_)) is not None:
        if json_:
            options.write(json_, json.document({"format": 1, "steps": [], "requests": rows}))
        else:
            click.echo(steps.requests(path, rows, width=options.width(), color=options.colour()), nl=False)
        return 0
    told = explain(path, request=request, step=step, run=run, format=format_, tokenizer=tokenizer)
    if json_:
        options.write(json_, json.document(told))
    else:
        full = verbose or step is not None or len(told["steps"]) < 4
        click.echo(steps.explanation(told, full=full, width=options.width(), color=options.colour()), nl=False)
    return 0
