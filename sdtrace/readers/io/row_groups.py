"""A Parquet file in frames of bounded size."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from sdtrace.schema.trace import Loss

#: What reading a damaged file raises.
_BROKEN = (pa.ArrowException, OSError, ValueError, pl.exceptions.PolarsError)


def names(file: Path) -> set[str] | str:
    """The columns of a file; where it is no readable Parquet, why."""
    try:
        return set(pq.read_schema(file).names)
    except _BROKEN as error:
        return f"no readable Parquet: {str(error)[:120]}"


def frames(path: str, file: Path, size: int, *, first: bool = False) -> Iterator[pl.DataFrame | Loss]:
    """The file in frames of about `size` rows; a Loss where it cannot be read on. `first`: nothing was read before."""
    read, rows = 0, None
    try:
        with pq.ParquetFile(file, pre_buffer=False) as table:
            rows = table.metadata.num_rows
            for groups, each in _portions(table.metadata, size):
                # the first batch is what all threads wait for; later ones are read while others are measured
                table.reader.set_use_threads(first and not read)  # iter_batches only ever turns it on
                for batch in table.iter_batches(each, row_groups=groups, use_threads=False):
                    frame = pl.from_arrow(batch)
                    assert isinstance(frame, pl.DataFrame)
                    read += frame.height
                    yield frame
    except _BROKEN as error:
        count = max((rows or 1) - read, 1)
        yield Loss(path, None, f"unreadable Parquet: {str(error)[:160]}", count, "the file is damaged; get it again")


def _portions(file: pq.FileMetaData, size: int) -> Iterator[tuple[list[int], int]]:
    """Row groups that are read together, and rows of a batch of them: about `size`, and batches of equal cost.

    A batch that reached into the next row group would decompress that one's pages, too, while other threads wait.
    """
    groups: list[int] = []
    rows = 0
    for number in range(file.num_row_groups):
        more = file.row_group(number).num_rows
        if groups and rows + more > size:
            yield groups, _even(rows, size)
            groups, rows = [], 0
        groups.append(number)
        rows += more
    yield groups, _even(rows, size)


def _even(rows: int, size: int) -> int:
    """Rows of each of as few batches as hold `rows` with `size` in none exceeded."""
    return max(-(-rows // max(-(-rows // size), 1)), 1)
