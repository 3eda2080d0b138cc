"""`sdtrace grafana`: a Grafana dashboard over the engines' own metrics."""

from typing import Any

import click

from sdtrace.cli import boards, outputs


@click.command("grafana", cls=outputs.Verb)
@click.option(
    "-o", "--output", type=outputs.FILE, metavar="FILE.json", default="-", help="Where to; else standard output."
)
@boards.options
def command(output: str, **given: Any) -> int:
    """Write a Grafana dashboard: acceptance, tokens per step, positions and load, one row an engine.

    Import it in Grafana (Dashboards, New, Import), or put it into a provisioned folder. The metrics are the engines' own;
    nothing of sdtrace has to run beside them.
    """
    from sdtrace.render.boards import dashboard

    boards.write(
        output,
        dashboard.dumps(boards.names(given), boards.engines(given)),
        "import it in Grafana: Dashboards, New, Import",
    )
    return 0
