"""`sdtrace report`: the main job."""

from typing import Any

import click

from sdtrace.cli import options, results


@click.command("report")
@options.inputs
@options.window
@click.option("--baseline-ms", type=click.FloatRange(min=0, min_open=True), metavar="MS", help="Time of a plain step.")
@click.option("-o", "--output", metavar="FILE.html", help="Write the HTML report there.")
@results.machines
@results.judgement
@click.option("--engine", type=click.Choice(["ray"]), help="Read the inputs on a Ray cluster (extra ray).")
@click.option("--address", metavar="ADDR", help="With --engine ray: the cluster; a local one without.")
@click.option(
    "--content", type=click.Choice(["none", "ids", "text"]), default="none", show_default=True, help="Content shown."
)
@click.option("-q", "--quiet", is_flag=True, help="No summary on the terminal.")
@click.option("-v", "--verbose", is_flag=True, help="Also list the checks that are clear.")
def command(paths: tuple[str, ...], **given: Any) -> int:
    """Read traces, recompute every decision, name what is wrong.

    INPUT is a file, a folder, a glob, or - for standard input; gz, bz2, xz and zst are told by content.
    """
    from sdtrace.api import report  # heavy imports only when there is work
    from sdtrace.errors import UsageError
    from sdtrace.fail_if import condition
    from sdtrace.machines import Ray
    from sdtrace.render import html, terminal

    for text in given["fail_if"]:
        condition(text)  # a slip is told before the work, not after it
    if given["address"] and not given["engine"]:
        raise UsageError("--address is for --engine ray", "sdtrace report INPUT --engine ray --address ADDR")
    machines = Ray(given["address"]).audit if given["engine"] else None
    found = report(
        paths,
        format=given["format_"],
        since=options.moment(given["since"]),
        until=options.moment(given["until"]),
        where=given["where"],
        ids=given["content"] != "none",
        machines=machines,
        baseline_ms=given["baseline_ms"],
    )
    if given["content"] == "text":
        click.echo("note: traces hold token ids and no text; the ids are shown", err=True)
    if given["output"]:
        options.write(given["output"], html.page(found))
    taken = results.write(found, given)
    if not given["quiet"] and not taken:
        click.echo(
            terminal.summary(found, width=options.width(), color=options.colour(), verbose=given["verbose"]), nl=False
        )
        if given["output"] and given["output"] != "-":
            click.echo(f"report: {given['output']}", err=True)
    return results.exit_code(found.document, given)
