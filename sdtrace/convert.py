"""Anything readable to trace format 1, streaming, whole or not at all."""

import gzip
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from sdtrace.errors import OutputError, UsageError
from sdtrace.readers import open_inputs
from sdtrace.trace import OBJECTS, TABLES, Batch, Loss, Notice, empty


@dataclass
class Converted:
    """How many records were written, and what was not."""

    runs: int = 0
    requests: int = 0
    steps: int = 0
    losses: list[Loss] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


def convert(inputs: Sequence[str | Path], out: str | Path, *, format: str | None = None) -> Converted:
    """Write JSON Lines (`out` ends in .jsonl, .jsonl.gz, .jsonl.zst) or a Parquet folder (anything else).

    There and back is the identity on records; absent keys stay absent, non-finite numbers stay what they are. Raises
    NoInputError, UsageError (an ending that is neither), OutputError.
    """
    opened = open_inputs([str(path) for path in inputs], format)
    return write((batch for source in opened for batch in source.batches()), out)


def write(found: Iterator[Batch], out: str | Path) -> Converted:
    """Write batches; see `convert` for `out` and the errors."""
    target = Path(out)
    done = Converted()
    batches = (_booked(done, batch) for batch in found)
    try:
        if ".jsonl" in target.suffixes:
            _whole(target, lambda half: _jsonl(half, target.suffix, batches))
        elif target.suffix in ("", ".parquet", ".sdtrace"):
            _folder(target, batches)
        else:
            raise UsageError(
                f"{out}: what format is {target.suffix}?", "end it in .jsonl, .jsonl.gz, .jsonl.zst, or name a folder"
            )
    except OSError as error:
        raise OutputError(
            f"{out}: {error.strerror or error}", "check that the folder exists and may be written to"
        ) from error
    return done


def _booked(done: Converted, batch: Batch) -> Batch:
    done.runs += batch.runs.height
    done.requests += batch.requests.height
    done.steps += batch.steps.height
    done.losses += batch.losses
    done.notices += batch.notices
    return batch


def _whole(target: Path, write: Any) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(handle)
    try:
        write(Path(name))
        os.chmod(name, 0o644)
        os.replace(name, target)
    finally:
        Path(name).unlink(missing_ok=True)


def _jsonl(file: Path, suffix: str, batches: Iterator[Batch]) -> None:
    with _packed(file, suffix) as stream:
        for batch in batches:
            for table, frame in (("run", batch.runs), ("request", batch.requests), ("step", batch.steps)):
                for row in frame.iter_rows(named=True):
                    stream.write(line(table, row))


@contextmanager
def _packed(file: Path, suffix: str) -> Iterator[IO[bytes]]:
    with ExitStack() as stack:
        raw = stack.enter_context(file.open("wb"))
        if suffix == ".gz":
            packed = gzip.GzipFile(fileobj=raw, mode="wb", mtime=0)
            stack.callback(packed.close)
            yield cast(IO[bytes], packed)
        elif suffix == ".zst":
            yield stack.enter_context(zstandard.ZstdCompressor().stream_writer(raw))
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
    if target.exists() and not target.is_dir():
        raise OutputError(f"{target}: a file of that name exists", "name another folder")
    if target.is_dir() and any(target.iterdir()):
        raise OutputError(f"{target}: the folder is not empty", "name a new folder, or empty this one")
    half = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        with ExitStack() as stack:
            writers = {t: stack.enter_context(_writer(half / f"{t}s.parquet", t)) for t in TABLES}
            for batch in batches:
                for table, frame in (("run", batch.runs), ("request", batch.requests), ("step", batch.steps)):
                    if frame.height:
                        writers[table].write_table(
                            frame.select(list(TABLES[table])).to_arrow().cast(writers[table].schema)
                        )
        os.chmod(half, 0o755)
        if target.is_dir():
            target.rmdir()
        os.replace(half, target)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _writer(file: Path, table: str) -> pq.ParquetWriter:
    frame = empty(table).select(list(TABLES[table]))
    return pq.ParquetWriter(file, pa.schema(frame.to_arrow().schema), compression="zstd")
