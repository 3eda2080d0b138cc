"""`sdtrace convert`: to trace format 1, and to what other tools read."""

import sys
from typing import Any

import click

from sdtrace.cli import exports, options, outputs


@click.command("convert", cls=outputs.Verb)
@options.reading
@exports.asked
@click.argument("paths", metavar="INPUT...", nargs=-1)
@click.argument("out", type=outputs.FILE, required=False)
def command(paths: tuple[str, ...], out: str | None, format_: str | None, **given: Any) -> int:
    """Write anything readable as trace format 1: OUT ending in .jsonl (.gz, .zst) or a folder (Parquet).

    With one INPUT and no OUT, or with - as OUT, the lines go to standard output. With --profile, --chrome or --openmetrics
    these files are written and nothing else: every argument is an INPUT then.
    """
    if out is not None and any(given[name] for name in exports.KINDS):
        exports.write([*paths, out], format_, given)
        return 0
    if not paths:  # what stands alone is read
        if out is None:
            raise click.UsageError("Missing argument 'INPUT...'.")
        paths, out = (out,), None
    return _trace(paths, out, format_)


def _trace(paths: tuple[str, ...], out: str | None, format_: str | None) -> int:
    from sdtrace.render.text import clean
    from sdtrace.writers.convert import convert

    done = convert(paths, sys.stdout.buffer if out in (None, "-") else out, format=format_)
    where = "standard output" if out in (None, "-") else clean(out)
    click.echo(
        f"{done.runs:,} run lines, {done.requests:,} request lines, {done.steps:,} steps written to {where}",
        err=True,
    )
    for loss in done.losses[:20]:
        where = loss.path if loss.line is None else f"{loss.path}:{loss.line}"
        click.echo(f"lost: {clean(where)}: {clean(loss.what)} ({loss.count:,})", err=True)
    if len(done.losses) > 20:
        click.echo(f"lost: and {len(done.losses) - 20:,} more", err=True)
    for notice in done.notices[:20]:
        click.echo(f"note: {clean(notice.path)}: {clean(notice.what)} ({notice.count:,})", err=True)
    return 0
