"""`sdtrace convert`: to trace format 1."""

import click

from sdtrace.cli import options, outputs


@click.command("convert", cls=outputs.Verb)
@options.inputs
@click.argument("out", type=outputs.FILE)
def command(paths: tuple[str, ...], out: str, format_: str | None) -> int:
    """Write anything readable as trace format 1: OUT ending in .jsonl (.gz, .zst) or a folder (Parquet)."""
    from sdtrace.render.text import clean
    from sdtrace.writers.convert import convert

    done = convert(paths, out, format=format_)
    click.echo(
        f"{done.runs:,} run lines, {done.requests:,} request lines, {done.steps:,} steps written to {clean(out)}",
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
