"""`sdtrace alerts`: Prometheus alert rules over the engines' own metrics."""

from typing import TYPE_CHECKING, Any

import click

from sdtrace.cli import boards, outputs

if TYPE_CHECKING:
    from sdtrace.history.usual import Usual


@click.command("alerts", cls=outputs.Verb)
@click.option(
    "-o", "--output", type=outputs.FILE, metavar="FILE.yml", default="-", help="Where to; else standard output."
)
@boards.options
@click.option(
    "--state",
    type=outputs.FOLDER,
    metavar="DIR",
    help="The history of `sdtrace nightly`: the usual acceptance of a service is the threshold.",
)
@click.option("--service", metavar="NAME", help="With --state: which service, where it holds several.")
def command(output: str, state: str | None, service: str | None, **given: Any) -> int:
    """Write alert rules: nothing accepted, gains that do not pay, a fall, one engine apart, impossible counters.

    Check them with `promtool check rules FILE`, and name the file under rule_files in prometheus.yml.
    """
    from sdtrace.render.boards import rules

    usual = _usual(state, service) if state else None
    found = rules.dumps(boards.names(given), boards.engines(given), usual).encode()
    boards.write(
        output, found, f"check it with promtool check rules {output}, and name it under rule_files in prometheus.yml"
    )
    return 0


def _usual(folder: str, service: str | None) -> "Usual":
    """What the history calls usual. Raises UsageError where it holds no such service, or too few nights."""
    from sdtrace.errors import UsageError
    from sdtrace.history import state, trend
    from sdtrace.history.usual import FEWEST, usual

    with state.opened(folder, create=False) as opened:
        records = opened.records()
    names = trend.names(records)
    chosen = service or (names[0] if len(names) == 1 else None)
    if chosen is None or chosen not in names:
        raise UsageError(
            f"{folder}: " + (f"no service {service!r}" if service else f"{len(names)} services"),
            "--service with one of: " + ", ".join(names) if names else "run sdtrace nightly first",
        )
    found = usual(records, chosen)
    if found is None:
        raise UsageError(
            f"{folder}: fewer than {FEWEST} nights of {chosen} without a fault", "leave --state out for now"
        )
    return found
