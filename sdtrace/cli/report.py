"""`sdtrace report`: the main job."""

from typing import Any

import click

from sdtrace.cli import options, outputs, progress, results


@click.command("report", cls=outputs.Verb)
@options.inputs
@options.window
@click.option("--baseline-ms", type=click.FloatRange(min=0, min_open=True), metavar="MS", help="Time of a plain step.")
@click.option(
    "--tokenizer",
    metavar="FOLDER",
    help="Look for corrupt text in the emitted ids, by its tokenizer.json; --content text shows text.",
)
@outputs.html("Write the HTML report there.")
@results.machines
@results.judgement
@click.option("--engine", type=click.Choice(["ray"]), help="Read the inputs on a Ray cluster (extra ray).")
@click.option("--address", metavar="ADDR", help="With --engine ray: the cluster; a local one without.")
@results.people
def command(paths: tuple[str, ...], **given: Any) -> int:
    """Read traces, recompute every decision, name what is wrong.

    INPUT is a file, a folder, a glob, or - for standard input; compression (gz, bz2, xz, zst) is detected
    automatically.
    """
    from sdtrace.api import report  # heavy imports only when there is work
    from sdtrace.audit.cluster import Ray
    from sdtrace.errors import UsageError

    results.understood(given)
    if given["address"] and not given["engine"]:
        raise UsageError("--address is for --engine ray", "sdtrace report INPUT --engine ray --address ADDR")
    with progress.reading(quiet=given["quiet"]):
        found = report(
            paths,
            format=given["format_"],
            since=given["since"],
            until=given["until"],
            where=given["where"],
            ids=given["content"] != "none",
            baseline_ms=given["baseline_ms"],
            tokenizer=given["tokenizer"],
            text=given["content"] == "text" and given["tokenizer"] is not None,
            machines=Ray(given["address"]).audit if given["engine"] else None,
        )
    return results.show(found, given)
