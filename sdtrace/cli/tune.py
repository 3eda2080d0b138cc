"""`sdtrace tune`: what to set."""

from typing import Any

import click

from sdtrace.cli import options, outputs, progress, results


@click.command("tune", cls=outputs.Verb)
@options.inputs
@options.window
@outputs.html("Write the HTML report there, with this section.")
@click.option(
    "--json", "json_", type=outputs.FILE, metavar="FILE", help="Write the JSON document there; - is standard output."
)
@click.option(
    "--baseline-ms", type=float, metavar="MS", help="What a step without a draft costs, if the trace has none."
)
@click.option(
    "--draft-cost", type=float, metavar="C", help="Price of a drafted token in steps of the target; replaces all times."
)
@click.option("--slo-tpot-ms", type=float, metavar="MS", help="Limit on a request's mean time per output token.")
@click.option("--slo-itl-ms", type=float, metavar="MS", help="Limit on the time between bursts (a step).")
@click.option("-q", "--quiet", is_flag=True, help="Nothing on the terminal.")
def command(paths: tuple[str, ...], **given: Any) -> int:
    """Which draft length, budget or policy suits this traffic, and which of these the trace can answer.

    Every figure says what it rests on: exact (recorded so), replay (recorded decisions, walked again), model, or bounds
    (not identified: the ends, and what to log to know more).
    """
    from sdtrace.api import tune
    from sdtrace.render import html, json, tuning

    for name in ("baseline_ms", "draft_cost", "slo_tpot_ms", "slo_itl_ms"):
        if given[name] is not None and not 0 < given[name] < float("inf"):
            raise click.BadParameter(f"--{name.replace('_', '-')} must be a positive number")
    with progress.reading(quiet=given["quiet"]):
        found = tune(
            paths,
            format=given["format_"],
            since=given["since"],
            until=given["until"],
            where=given["where"],
            baseline_ms=given["baseline_ms"],
            draft_cost=given["draft_cost"],
            slo_tpot_ms=given["slo_tpot_ms"],
            slo_itl_ms=given["slo_itl_ms"],
        )
    found = results.configured(found)
    if given["output"]:
        options.write(given["output"], html.page(found))
    if given["json_"]:
        options.write(given["json_"], json.dumps(found))
    if not given["quiet"] and given["json_"] != "-":
        click.echo(tuning.summary(found, width=options.width(), color=options.colour()), nl=False)
        if given["output"] and given["output"] != "-":
            click.echo(f"report: {given['output']}", err=True)
    return 0
