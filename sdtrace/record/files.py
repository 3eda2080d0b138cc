"""The files of a recorder: JSON Lines parts that grow, or Parquet parts that appear whole.

A record that cannot be written (an id that is no text, a list where a number belongs) is refused alone. Files are the
owner's: a trace may hold token ids.

What was handed to the kernel is readable after SIGKILL: lines are written in whole blocks, a Parquet part is moved into
place when it is complete. Several processes may write into one folder; a part's name holds the process and a number.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from sdtrace import atomic
from sdtrace.errors import OutputError
from sdtrace.schema.trace import OBJECTS, TABLES, conform, schema
from sdtrace.writers.convert import line

Row = tuple[str, Mapping[str, Any]]


class JsonLines:
    """`trace-PROCESS-N.jsonl`: appended to block by block, a new file once one is `rotate_bytes` long."""

    def __init__(self, folder: Path, rotate_bytes: int, mode: int = 0o600) -> None:
        self.folder, self.rotate_bytes, self.mode = folder, rotate_bytes, mode
        self.refused: Counter[tuple[str, str]] = (
            Counter()
        )  #: records of the last block that cannot be written, by table and reason
        self.number, self.size, self.handle = 0, 0, -1
        self.head: list[bytes] = []

    def write(self, rows: Sequence[Row]) -> int:
        """Append the rows in one block; the number of bytes written. Raises OSError; the next block is in a new file."""
        self.refused = Counter()
        lines = [(table, made) for table, row in rows if (made := self._made(table, row)) is not None]
        self.head += [made for table, made in lines if table == "run"]
        begins = self.handle < 0 or self.size >= self.rotate_bytes
        if begins:
            self._open()
            lines = [*(("run", made) for made in self.head), *(one for one in lines if one[0] != "run")]
        block = b"".join(made for _, made in lines)
        try:
            done = 0
            while done < len(block):
                done += os.write(self.handle, block[done:])
        except OSError:
            self.close()  # a torn line ends this file; whatever follows belongs into another
            raise
        self.size += len(block)
        return len(block)

    def _made(self, table: str, row: Mapping[str, Any]) -> bytes | None:
        try:
            return _line(table, row)
        except Exception as error:
            self.refused[table, _why(table, error)] += 1
            return None

    def _open(self) -> None:
        self.close()
        _folder(self.folder, self.mode)
        file = self.folder / f"trace-{_stamp()}-{self.number:04d}.jsonl"
        self.handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, self.mode)
        self.number, self.size = self.number + 1, 0

    def close(self) -> None:
        """Close the file, if one is open."""
        if self.handle >= 0:
            os.close(self.handle)
        self.handle = -1


class Parts:
    """`steps/PROCESS-N.parquet` and so on: every flush is a part of its own, complete when it has its name."""

    def __init__(self, folder: Path, mode: int = 0o600) -> None:
        self.folder, self.number, self.mode = folder, 0, mode
        self.refused: Counter[tuple[str, str]] = Counter()  #: as of JsonLines

    def write(self, rows: Sequence[Row]) -> int:
        """One part for every table that has rows; the number of bytes written. Raises OSError."""
        size, self.refused = 0, Counter()
        for table in TABLES:
            mine = self._frame(table, [row for name, row in rows if name == table])
            if mine is not None:
                size += self._part(table, mine)
        self.number += 1
        return size

    def _frame(self, table: str, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame | None:
        """The rows as a table; where they do not make one, those that do, found one by one."""
        if not rows:
            return None
        try:
            return _table(table, rows)
        except Exception as error:
            if len(rows) == 1:
                self.refused[table, _why(table, error)] += 1
                return None
            whole = [made for row in rows if (made := self._frame(table, [row])) is not None]
            return pl.concat(whole) if whole else None

    def _part(self, table: str, frame: pl.DataFrame) -> int:
        folder = self.folder / f"{table}s"
        _folder(self.folder, self.mode)
        _folder(folder, self.mode)
        file = folder / f"{_stamp()}-{self.number:06d}.parquet"
        try:
            with atomic.writing(file, mode=self.mode) as stream:
                frame.write_parquet(stream, compression="zstd")
                return stream.tell()
        except OutputError as error:
            raise error.__cause__ or error from None  # drops are counted by reason, whatever the part is called

    def close(self) -> None:
        """Nothing is open between parts."""


def _table(table: str, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    listed, wanted = [_listed(row) for row in rows], schema(table)
    there = {n: wanted[n] for n in wanted if any(n in row for row in listed)}
    return conform(pl.DataFrame(listed, schema=there, orient="row"), table)


def _why(table: str, error: Exception) -> str:
    return f"a {table} record that cannot be written ({type(error).__name__})"


def _folder(place: Path, mode: int) -> None:
    """A folder that whoever may read the files may enter; one that is there stays as it is."""
    place.mkdir(mode=mode | (mode & 0o444) >> 2, parents=True, exist_ok=True)


def _stamp() -> str:
    """Process and the second it began to write: a restarted container may get an old process number again."""
    return f"{_BEGAN}-{os.getpid()}"


_BEGAN = int(time.time())


def _numbers(value: Any) -> Any:
    """Arrays that orjson does not take as they are (views, other types), scalars of numpy, sets."""
    return value.tolist() if hasattr(value, "tolist") else list(value)


def _listed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: json.dumps(value, ensure_ascii=False)
        if name in OBJECTS and not isinstance(value, str)
        else value.tolist()
        if hasattr(value, "tolist")
        else value
        for name, value in row.items()
        if value is not None
    }


def _line(table: str, row: Mapping[str, Any]) -> bytes:
    """The record as a line; arrays of float32 are printed with as many digits as tell them apart."""
    head: dict[str, Any] = {"kind": table} | ({"format": 1} if table == "run" else {})
    known = {k: v for k, v in row.items() if v is not None}
    text = orjson.dumps(head | known, default=_numbers, option=orjson.OPT_SERIALIZE_NUMPY)
    if b"null" not in text:
        return text + b"\n"
    # orjson has no word for NaN and writes null; the writer of conversions keeps it
    return line(table, dict.fromkeys(TABLES[table]) | _listed(row))
