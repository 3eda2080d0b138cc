"""`sdtrace detect`: what an input is."""

import click

from sdtrace.cli import options, outputs


@click.command("detect", cls=outputs.Verb)
@options.inputs
@click.option("--why", is_flag=True, help="For each other reader, what it missed first.")
@click.option(
    "--json",
    "json_",
    type=outputs.FILE,
    metavar="FILE",
    is_flag=False,
    flag_value="-",
    help="As JSON, to FILE or standard output.",
)
def command(paths: tuple[str, ...], format_: str | None, why: bool, json_: str | None) -> int:
    """Which format an input is, what can be judged from it, and what to log to judge more. Exit 3 if nothing is known."""
    from sdtrace.readers.detection import detect
    from sdtrace.render import json, terminal

    found = detect(paths, format_, why=why)
    if json_:
        options.write(json_, json.document({"format": 1, "inputs": found}))
    else:
        click.echo(terminal.detection(found), nl=False)
    known = [row for row in found if row["format"] != "unrecognised" and (row["judged"] or not row.get("problem"))]
    return 0 if known else 3
