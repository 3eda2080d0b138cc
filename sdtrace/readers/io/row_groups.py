"""A Parquet file in frames of bounded size."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from sdtrace.limits import Budget, LimitError, Limits
from sdtrace.readers.io.footer import RowGroup, row_groups
from sdtrace.schema.trace import Loss

#: Bytes of a batch: what 130,000 steps of a long record come to.
_MUCH = 1 << 29

#: What reading a damaged file raises.
_BROKEN = (pa.ArrowException, OSError, ValueError, pl.exceptions.PolarsError)


def names(file: Path) -> set[str] | str:
    """The columns of a file; where it is no readable Parquet, why."""
    try:
        return set(pq.read_schema(file).names)
    except _BROKEN as error:
        return f"no readable Parquet: {str(error)[:120]}"


def frames(path: str, file: Path, size: int, limits: Limits, *, first: bool = False) -> Iterator[pl.DataFrame | Loss]:
    """The file in frames of about `size` rows; a Loss where it cannot be read on. `first`: nothing was read before."""
    read, rows = 0, None
    try:
        with pq.ParquetFile(file, pre_buffer=False, page_checksum_verification=True) as table:
            rows = table.metadata.num_rows
            known = _plain(table.schema_arrow)
            for groups, each in _portions(row_groups(file), size, Budget(limits, file.stat().st_size)):
                # the first batch is what all threads wait for; later ones are read while others are measured
                table.reader.set_use_threads(first and not read)  # iter_batches only ever turns it on
                for batch in table.iter_batches(each, row_groups=groups, use_threads=False):
                    frame = pl.from_arrow(pa.RecordBatch.from_arrays(batch.columns, schema=known))
                    assert isinstance(frame, pl.DataFrame)
                    read += frame.height
                    yield frame
    except LimitError as met:
        yield Loss(path, None, met.what, max((rows or 1) - read, 1), met.advice)
    except _BROKEN as error:
        count = max((rows or 1) - read, 1)
        why = f"unreadable Parquet: {str(error)[:160]}"
        yield Loss(path, None, why, count, "the file is damaged; get it again", "unreadable")


def _plain(schema: pa.Schema) -> pa.Schema:
    """The schema without what files say beside it: polars takes all of that for UTF-8, and ends where it is not.

    Raises UnicodeDecodeError where a name is none.
    """
    for field in schema:
        _named(field.type)
    return pa.schema([pa.field(field.name, field.type, field.nullable) for field in schema])


def _named(kind: pa.DataType) -> None:
    """Look at every name inside a type."""
    for i in range(kind.num_fields):
        inside = kind.field(i)
        assert inside.name is not None
        _named(inside.type)


def _portions(every: Sequence[RowGroup], size: int, budget: Budget) -> Iterator[tuple[list[int], int]]:
    """Row groups that are read together, and rows of a batch of them: about `size`, and batches of equal cost.

    A batch that reached into the next row group would decompress that one's pages, too, while other threads wait. Where
    rows are large there are fewer in a batch. Raises LimitError where the entries of a file, which a few bytes can stand
    for, are too many.
    """
    groups: list[int] = []
    rows = held = 0
    for number, group in enumerate(every):
        more, most = group.rows, group.entries
        budget.take(most)
        if groups and (rows + more > size or held + most > _MUCH):
            yield groups, _even(rows, _few(size, rows, held))
            groups, rows, held = [], 0, 0
        groups.append(number)
        rows, held = rows + more, held + most
    yield groups, _even(rows, _few(size, rows, held))


def _few(size: int, rows: int, held: int) -> int:
    """Rows of a batch, so that one of them is not much more than _MUCH bytes."""
    return min(size, max(_MUCH * rows // max(held, 1), 1))


def _even(rows: int, size: int) -> int:
    """Rows of each of as few batches as hold `rows` with `size` in none exceeded."""
    return max(-(-rows // max(-(-rows // size), 1)), 1)
