"""Trace format 1 as Parquet: a folder with steps.parquet (or steps/*.parquet), or a steps file alone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from sdtrace.readers.io.source import Source
from sdtrace.readers.trace.strict import Parsed
from sdtrace.readers.trace.validate import Validator
from sdtrace.schema.trace import OBJECTS, TABLES, Batch, Loss, Notice, conform, empty, schema

#: Rows of a batch of steps, and of runs and requests, which are wider and stay in memory while they are joined.
ROWS, HEADS = 131_072, 16_384


def sniff(file: Path) -> str | None:
    """None where the file holds steps of format 1, otherwise why not."""
    try:
        names = set(pq.read_schema(file).names)
    except (pa.ArrowException, OSError) as error:
        return f"no readable Parquet: {str(error)[:120]}"
    missing = {"request_id", "step", "draft_token_ids"} - names
    return f"no column {', '.join(sorted(missing))}" if missing else None


def parts(folder: Path, table: str) -> list[Path]:
    """The files of one table of a trace folder."""
    single = folder / f"{table}s.parquet"
    return ([single] if single.is_file() else []) + sorted(folder.glob(f"{table}s/*.parquet"))


def batches(src: Source) -> Iterator[Batch]:
    """Runs and requests first, then steps; `line` is the row of its file, from 1."""
    assert src.file is not None
    if not src.is_folder:
        yield from _steps(src.path, src.file, Validator(src.path), first=True)
        return
    for table in ("run", "request"):
        for file in parts(src.file, table):
            yield from _heads(str(file) if src.path != str(file) else src.path, file, table)
    validators = Validator(src.path)
    for number, file in enumerate(parts(src.file, "step")):
        yield from _steps(str(file), file, validators, first=number == 0)


def _frames(path: str, file: Path, size: int, *, first: bool = False) -> Iterator[pl.DataFrame | Loss]:
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
    except (pa.ArrowException, OSError, pl.exceptions.PolarsError) as error:
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


def _heads(path: str, file: Path, table: str) -> Iterator[Batch]:
    for frame in _frames(path, file, HEADS):
        if isinstance(frame, Loss):
            yield _lost(path, frame)
            continue
        made = _conformed(path, frame, table)
        if isinstance(made, Loss):
            yield _lost(path, made)
            continue
        made = made.with_columns(pl.col("run_id").fill_null(""))
        runs, requests = (made, empty("request")) if table == "run" else (empty("run"), made)
        yield Batch(path, frame.height, runs, requests, empty("step"))


def _steps(path: str, file: Path, validator: Validator, *, first: bool) -> Iterator[Batch]:
    line, unknown = 1, 0
    names: list[str] = []
    for frame in _frames(path, file, ROWS, first=first):
        if isinstance(frame, Loss):
            yield _lost(path, frame)
            continue
        names = [n for n in frame.columns if n not in TABLES["step"]]
        unknown += frame.height
        made = _conformed(path, frame, "step")
        if isinstance(made, Loss):
            yield _lost(path, made)
        else:
            numbered = made.with_columns(pl.col("run_id").fill_null(""), line=pl.int_range(line, line + frame.height))
            batch = validator.batch(Parsed(path), numbered, frame.height)
            yield Batch(path, batch.lines, batch.runs, batch.requests, batch.steps, batch.losses, batch.notices)
        line += frame.height
    if names:
        advice = "not part of trace format 1; `config` and `tags` hold anything else"
        notices = [
            Notice(path, None, f"unknown column {n!r}", unknown, advice) for n in names if n not in ("kind", "line")
        ]
        yield Batch(path, 0, empty("run"), empty("request"), empty("step"), [], notices)


def _lost(path: str, loss: Loss) -> Batch:
    return Batch(path, loss.count, empty("run"), empty("request"), empty("step"), [loss])


def _conformed(path: str, frame: pl.DataFrame, table: str) -> pl.DataFrame | Loss:
    """Columns typed as the table wants them; objects become JSON text."""
    known = frame.select(n for n in frame.columns if n in TABLES[table])
    try:
        known = known.with_columns(_text(known[n]) for n in known.columns if n in OBJECTS)
        wanted = schema(table)
        floats = [n for n in known.columns if wanted[n] == pl.Int64 and known[n].dtype.is_float()]
        for name in floats:
            if not known.select((pl.col(name) == pl.col(name).floor()).all()).item():
                raise ValueError(f"{name} holds fractions")
        return conform(known, table)
    except (pl.exceptions.PolarsError, ValueError, TypeError) as error:
        what = f"a column has another type than format 1: {str(error)[:160]}"
        return Loss(path, None, what, frame.height, "write the columns as trace format 1 types them")


def _text(column: pl.Series) -> pl.Series:
    if column.dtype == pl.String:
        return column
    if column.dtype == pl.Null:
        return column.cast(pl.String)
    return pl.Series(column.name, [None if v is None else _json(v) for v in column.to_list()], dtype=pl.String)


def _json(value: Any) -> str:
    """A struct, or a map as Arrow lists it (key, value pairs), as a JSON object."""
    if isinstance(value, list):
        value = {pair["key"]: pair["value"] for pair in value}
    return json.dumps({k: v for k, v in value.items() if v is not None}, ensure_ascii=False)
