"""Anything readable to trace format 1, streaming, whole or not at all."""

import gzip
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, cast

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from sdtrace import atomic
from sdtrace.errors import NoInputError, UsageError
from sdtrace.readers import Opened, open_inputs
from sdtrace.readers.inputs import Input, add, book, demand
from sdtrace.schema.trace import OBJECTS, TABLES, Batch, Loss, Notice, empty


@dataclass
class Converted:
    """How many records were written, and what was not."""

    runs: int = 0
    requests: int = 0
    steps: int = 0
    losses: list[Loss] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


def convert(inputs: Sequence[str | Path], out: str | Path | IO[bytes], *, format: str | None = None) -> Converted:
    """Write JSON Lines (`out` ends in .jsonl, .jsonl.gz, .jsonl.zst, or is a stream) or a Parquet folder (anything else).

    There and back is the identity on records; absent keys stay absent, non-finite numbers stay what they are. Raises
    NoInputError (also where an input holds counts alone), UsageError (an ending that is neither), OutputError.
    """
    opened = open_inputs([str(path) for path in inputs], format)
    return write(_batches(opened), out)


def _batches(opened: Sequence[Opened]) -> Iterator[Batch]:
    """Of all inputs. Raises NoInputError behind them where none of them could be read, or none holds a record of a trace: an
    empty file would look like one."""
    inputs = []
    for source in opened:
        inputs.append(Input(source.path, source.format, source.engine))
        for batch in source.as_written():
            book(inputs[-1], batch)
            yield _with_repeated(batch)
    demand(inputs)
    if any(i.windows for i in inputs) and not any(i.runs or i.requests or i.steps for i in inputs):
        raise NoInputError(
            f"{inputs[0].path}: counts, and no step that a trace could hold",
            "--openmetrics FILE or --profile FILE write counts; sdtrace help recording says how to record steps",
        )


def _with_repeated(batch: Batch) -> Batch:
    """The batch with the steps whose key was taken: what several answers under one id, or a retry, make of a record is for its
    reader to judge."""
    if batch.repeated is None or batch.repeated.is_empty():
        return batch
    steps = pl.concat([batch.steps, batch.repeated.select(batch.steps.columns)]).sort("line", maintain_order=True)
    return replace(batch, steps=steps, losses=[x for x in batch.losses if x.kind != "repeated"])


def write(incoming: Iterator[Batch], out: str | Path | IO[bytes]) -> Converted:
    """Write batches; see `convert` for `out` and the errors."""
    done = Converted()
    batches = (_booked(done, batch) for batch in incoming)
    if not isinstance(out, str | Path):
        _jsonl(out, "", batches)
        return done
    target = Path(out)
    if ".jsonl" in target.suffixes:
        with atomic.writing(target) as raw:
            _jsonl(raw, target.suffix, batches)
    elif target.suffix in ("", ".parquet", ".sdtrace"):
        _folder(target, batches)
    else:
        raise UsageError(
            f"{out}: what format is {target.suffix}?", "end it in .jsonl, .jsonl.gz, .jsonl.zst, or name a folder"
        )
    return done


def _booked(done: Converted, batch: Batch) -> Batch:
    done.runs += batch.runs.height
    done.requests += batch.requests.height
    done.steps += batch.steps.height
    add(done.losses, batch.losses)
    add(done.notices, batch.notices)
    return batch


def _jsonl(raw: IO[bytes], suffix: str, batches: Iterator[Batch]) -> None:
    with _packed(raw, suffix) as stream:
        for batch in batches:
            for table, frame in (("run", batch.runs), ("request", batch.requests), ("step", batch.steps)):
                for row in frame.iter_rows(named=True):
                    stream.write(line(table, row))


@contextmanager
def _packed(raw: IO[bytes], suffix: str) -> Iterator[IO[bytes]]:
    if suffix == ".gz":
        with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed:
            yield cast(IO[bytes], packed)
    elif suffix == ".zst":
        with zstandard.ZstdCompressor(write_checksum=True).stream_writer(raw, closefd=False) as packed:
            yield packed
    else:
        yield raw


def line(table: str, row: dict[str, Any]) -> bytes:
    """One record as a line: absent keys left out, objects as objects, non-finite numbers bare."""
    record: dict[str, Any] = {"kind": table} | ({"format": 1} if table == "run" else {})
    odd = False
    for name in TABLES[table]:
        value = row[name]
        if value is None or (name == "run_id" and value == ""):
            continue
        record[name] = json.loads(value) if name in OBJECTS else value
        odd |= name in OBJECTS or _nonfinite(value)
    # orjson has no word for NaN and would write null
    return (
        json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() if odd else orjson.dumps(record)
    ) + b"\n"


def _nonfinite(value: Any) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, list) and any(_nonfinite(item) for item in value if isinstance(item, float | list))


def _folder(target: Path, batches: Iterator[Batch]) -> None:
    """A folder with steps.parquet, requests.parquet, runs.parquet, made beside and moved into place."""
    with atomic.folder(target) as half, ExitStack() as stack:
        writers = {t: stack.enter_context(_writer(half / f"{t}s.parquet", t)) for t in TABLES}
        for batch in batches:
            for table, frame in (("run", batch.runs), ("request", batch.requests), ("step", batch.steps)):
                if frame.height:
                    writers[table].write_table(frame.select(list(TABLES[table])).to_arrow().cast(writers[table].schema))


def _writer(file: Path, table: str) -> pq.ParquetWriter:
    frame = empty(table).select(list(TABLES[table]))
    return pq.ParquetWriter(file, pa.schema(frame.to_arrow().schema), compression="zstd", write_page_checksum=True)
