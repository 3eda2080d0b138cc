"""`sdtrace report`: the main job."""

import shutil
from typing import TYPE_CHECKING, Any

import click

from sdtrace.cli import options

if TYPE_CHECKING:
    from sdtrace.results import Report

LEVELS = {
    "none": set[str](),
    "wrong": {"wrong"},
    "slow": {"wrong", "slow"},
    "any": {"wrong", "slow", "metric-suspect"},
}


@click.command("report")
@options.inputs
@options.window
@click.option("--baseline-ms", type=click.FloatRange(min=0, min_open=True), metavar="MS", help="Time of a plain step.")
@click.option("-o", "--output", metavar="FILE.html", help="Write the HTML report there.")
@click.option("--json", "json_", metavar="FILE", help="Write the JSON document there; - is standard output.")
@click.option(
    "--fail-on", type=click.Choice(list(LEVELS)), default="wrong", show_default=True, help="Exit 1 at this or worse."
)
@click.option("--require-evidence", is_flag=True, help="Exit 4 when the verdict is cannot-tell.")
@click.option("--exit-zero", is_flag=True, help="Exit 0 whatever is found.")
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

    found = report(
        paths,
        format=given["format_"],
        since=options.moment(given["since"]),
        until=options.moment(given["until"]),
        where=given["where"],
        ids=given["content"] != "none",
        baseline_ms=given["baseline_ms"],
    )
    return show(found, given)


def show(found: "Report", given: dict[str, Any]) -> int:
    """Write and print a report as the flags ask; the exit code."""
    from sdtrace.render import html, json, terminal

    if given["content"] == "text":
        click.echo("note: traces hold token ids and no text; the ids are shown", err=True)
    if given["output"]:
        options.write(given["output"], html.page(found))
    if given["json_"]:
        options.write(given["json_"], json.dumps(found))
    if not given["quiet"] and given["json_"] != "-":
        width = min(shutil.get_terminal_size((100, 24)).columns, 120)
        click.echo(terminal.summary(found, width=width, color=options.colour(), verbose=given["verbose"]), nl=False)
        if given["output"] and given["output"] != "-":
            click.echo(f"report: {given['output']}", err=True)
    return exit_code(found.document, given)


def exit_code(document: dict[str, Any], given: dict[str, Any]) -> int:
    """The exit code of a document under --fail-on, --require-evidence and --exit-zero (vocabulary: exit codes)."""
    state = document["verdict"]["state"]
    if any(check["state"] == "crashed" for check in document["checks"]):
        return 5
    if given["exit_zero"]:
        return 0
    if state in LEVELS[given["fail_on"]]:
        return 1
    return 4 if given["require_evidence"] and state == "cannot-tell" else 0
