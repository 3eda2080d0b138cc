"""Lines of a text that came out of an envelope, named by the lines of the file that they began on."""

from dataclasses import replace

import polars as pl

from sdtrace.readers.io.unwrapped import Unwrapped
from sdtrace.readers.repeated import ADVICE, WHAT
from sdtrace.schema.trace import Batch, Loss, Notice, no_tables, other_lines

_ADVICE = "lines are numbered as in the file; what is inside is read as if it stood alone"


def placed_back(batch: Batch, inside: Unwrapped | None) -> Batch:
    """The batch with the file's own line numbers."""
    if inside is None:
        return batch
    origin = pl.Series(inside.origin, dtype=pl.Int64)

    def number(line: int | None) -> int | None:
        return inside.origin[line - 1] if line is not None and 0 < line <= len(inside.origin) else line

    def numbered(frame: pl.DataFrame) -> pl.DataFrame:
        if "line" not in frame.columns or frame.is_empty() or origin.is_empty():
            return frame
        index = (frame["line"] - 1).clip(0, len(origin) - 1)
        return frame.with_columns(
            line=origin.gather(index.fill_null(0)).zip_with(index.is_not_null(), pl.Series([None], dtype=pl.Int64))
        )

    return replace(
        batch,
        steps=numbered(batch.steps),
        windows=None if batch.windows is None else numbered(batch.windows),
        responses=None if batch.responses is None else numbered(batch.responses),
        losses=[replace(loss, line=number(loss.line)) for loss in batch.losses],
        notices=[replace(notice, line=number(notice.line)) for notice in batch.notices],
        events=[replace(event, line=number(event.line)) for event in batch.events],
    )


def around(path: str, inside: Unwrapped) -> Batch:
    """What was taken off, and the lines of the file that were nothing else."""
    what = f"the text stands in {', in '.join(inside.names)}: {len(inside.origin):,} lines inside"
    losses = [other_lines(path, inside.around, "expected around a text")] if inside.around else []
    losses += [Loss(path, None, WHAT, inside.again, ADVICE)] if inside.again else []
    apart = inside.around + inside.again
    parts = max(
        inside.lines - apart - len(inside.origin), 0
    )  # of lines that were cut: they are counted with their beginnings
    notices = [Notice(path, None, what, 1, _ADVICE)]
    tables = no_tables()
    return Batch(path, apart + parts, *tables, losses, notices, records=parts)
