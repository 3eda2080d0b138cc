"""`sdtrace convert`: to trace format 1, and to what other tools read."""

import sys
from typing import Any

import click

from sdtrace.cli import exports, options, outputs, progress


@click.command("convert", cls=outputs.Verb)
@options.reading
@exports.asked
@click.option(
    "-o", "--output", type=outputs.FILE, metavar="OUT", help="The same as OUT: every argument is an INPUT then."
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but what was lost.")
@click.argument("paths", metavar="INPUT...", nargs=-1)
@click.argument("out", type=outputs.FILE, required=False)
def command(
    paths: tuple[str, ...], out: str | None, output: str | None, format_: str | None, *, quiet: bool, **given: Any
) -> int:
    """Write anything readable as trace format 1: OUT ending in .jsonl (.gz, .zst) or a folder (Parquet).

    With one INPUT and no OUT, or with - as OUT, the lines go to standard output. With --profile, --chrome or --openmetrics
    these files are written, and the trace only where -o names it: every argument is an INPUT then.
    """
    export = any(given[name] for name in exports.KINDS)
    if out is not None and (export or output is not None):
        paths, out = (*paths, out), None
        outputs.apart(paths, [output] if output is not None else [])
    if out is not None and not paths:  # what stands alone is read
        paths, out = (out,), None
    if not paths:
        raise click.UsageError("Missing argument 'INPUT...'.")
    if export:
        exports.write(paths, format_, given, quiet=quiet)
    if not export or output is not None:
        _trace(paths, output or out, format_, quiet=quiet)
    return 0


def _trace(paths: tuple[str, ...], out: str | None, format_: str | None, *, quiet: bool) -> None:
    from sdtrace.render.text import clean, counted
    from sdtrace.writers.convert import convert

    with progress.reading(quiet=quiet):
        done = convert(paths, sys.stdout.buffer if out in (None, "-") else out, format=format_)
    if not quiet:
        where = "standard output" if out in (None, "-") else clean(out)
        records = ((done.runs, "runs"), (done.requests, "requests"), (done.steps, "steps"))
        click.echo(f"{', '.join(counted(*one) for one in records)} written to {where}", err=True)
    for loss in done.losses[:20]:
        where = loss.path if loss.line is None else f"{loss.path}:{loss.line}"
        click.echo(f"lost: {clean(where)}: {clean(loss.what)} ({loss.count:,})", err=True)
    if len(done.losses) > 20:
        click.echo(f"lost: and {len(done.losses) - 20:,} more", err=True)
    for notice in done.notices[:20]:
        click.echo(f"note: {clean(notice.path)}: {clean(notice.what)} ({notice.count:,})", err=True)
