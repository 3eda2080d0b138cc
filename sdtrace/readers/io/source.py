"""Where bytes come from: files, folders, globs and standard input; compression is told by content, not by name."""

import atexit
import bz2
import glob
import gzip
import io
import lzma
import os
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import zstandard

from sdtrace.errors import NoInputError
from sdtrace.readers.io import cloud

#: What unpacking raises on damaged bytes.
_BROKEN = (OSError, EOFError, lzma.LZMAError, zstandard.ZstdError, zlib.error, zipfile.BadZipFile, ValueError)
#: Decompressed bytes that stand in a temporary file at a time.
SEGMENT = 64 << 20
HEAD = 1 << 16

_MAGIC = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zst", b"PK\x03\x04": "zip"}
#: The member of a bundle that holds its trace.
_MEMBER = "trace.jsonl"


@dataclass
class Reading:
    """What is met while an input is read: the line at hand, where lines are read one by one; how a packed file breaks off."""

    line: int | None = None
    damage: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Source:
    """One input as the user named it; `file` is where its bytes are, `head` its first decompressed bytes."""

    path: str
    file: Path | None
    packing: str | None
    head: bytes
    reading: Reading = field(default_factory=Reading, compare=False, repr=False)

    @property
    def is_folder(self) -> bool:
        """Whether the input is a folder (of Parquet tables)."""
        return self.file is not None and self.file.is_dir()


@dataclass(frozen=True)
class Segment:
    """A plain file on disk that holds whole lines of an input, from line `first` (1-based) on."""

    file: Path
    first: int


def expand(paths: list[str]) -> list[str]:
    """Files, folders of tables, `-`; globs and other folders are walked, hidden files left out, sorted."""
    found: list[str] = []
    for path in paths:
        if cloud.is_object(path):
            found.extend(cloud.expand(path))
        elif (
            path == "-"
            or path.startswith(("prometheus://", "prometheus+https://"))
            or os.path.isfile(path)
            or is_tables(Path(path))
        ):
            found.append(path)
        elif os.path.isdir(path):
            found.extend(_walk(Path(path)))
        elif matches := sorted(glob.glob(path, recursive=True)):
            found.extend(expand(matches))
        elif os.path.exists(path):
            found.append(path)
        else:
            raise NoInputError(f"{path}: no such file or folder", "check the path; globs are expanded too")
    return list(dict.fromkeys(found))


def is_tables(folder: Path) -> bool:
    """Whether a folder is a Parquet trace: steps.parquet, or parts in steps/."""
    return (folder / "steps.parquet").is_file() or any(folder.glob("steps/*.parquet"))


def _walk(folder: Path) -> list[str]:
    found = []
    for child in sorted(folder.iterdir()):
        if child.name.startswith("."):
            continue
        if child.is_dir() and not is_tables(child):
            found.extend(_walk(child))
        elif child.is_file() or child.is_dir():
            found.append(str(child))
    return found


def source(path: str, file: Path | None = None) -> Source:
    """Look at an input: what it is packed with, and its first bytes. Standard input is kept in a temporary file.

    `file` is where the bytes are of a path that is none on this machine.
    """
    file = file or (_keep(sys.stdin.buffer) if path == "-" else Path(path))
    if file.is_dir():
        return Source(path, file, None, b"")
    try:
        with file.open("rb") as raw:
            start = raw.read(8)
        packing = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)
        with unpacked(file, packing) as stream:
            head = _head(stream)
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror or error}", "check the permissions of the file") from error
    return Source(path, file, packing, head)


def _head(stream: IO[bytes]) -> bytes:
    return _read(stream, HEAD)[0][:HEAD]


def _keep(stream: IO[bytes]) -> Path:
    """Standard input can be read once; a report may need it twice. The copy goes when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="sdtrace-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = folder / "stdin"
    with file.open("wb") as out:
        while block := stream.read(1 << 20):
            out.write(block)
    return file


@contextmanager
def unpacked(file: Path, packing: str | None) -> Iterator[IO[bytes]]:
    """The decompressed bytes of a file as a stream."""
    with file.open("rb") as raw:
        if packing == "zst":
            yield io.BufferedReader(_Zstandard(raw), 1 << 20)
        elif packing == "gz":
            yield cast(IO[bytes], gzip.GzipFile(fileobj=raw))
        elif packing == "bz2":
            yield bz2.open(raw)  # noqa: SIM115  # the caller owns the file below
        elif packing == "xz":
            yield lzma.open(raw)  # noqa: SIM115  # the same
        elif packing == "zip":
            with _member(raw) as member:
                yield member
        else:
            yield raw


class _Zstandard(io.RawIOBase):
    """What the frames of a stream hold, one after the other. EOFError where the last one breaks off, as the library's own
    reader does not tell."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed, self._frame, self._ready = packed, zstandard.ZstdDecompressor().decompressobj(), b""
        self._begun = False

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        while not self._ready:
            if self._begun and self._frame.eof:
                block, self._begun = self._frame.unused_data, False
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            else:
                block = b""
            block = block or self._packed.read(1 << 16)
            if not block:
                if self._begun:
                    raise EOFError("the last zst frame breaks off")
                return 0
            self._begun, self._ready = True, self._frame.decompress(block)
        given = self._ready[: len(into)]
        into[: len(given)], self._ready = given, self._ready[len(given) :]
        return len(given)


def _member(archive: IO[bytes]) -> IO[bytes]:
    """The trace of a bundle. Raises OSError, as any input that cannot be unpacked."""
    try:
        return zipfile.ZipFile(archive).open(_MEMBER)
    except (zipfile.BadZipFile, KeyError, RuntimeError, NotImplementedError, ValueError, EOFError) as error:
        raise OSError(f"a zip file that is no bundle of sdtrace, or a damaged one: {error}") from error


def segments(src: Source) -> Iterator[Segment]:
    """The input as plain files of whole lines: itself, or temporary pieces of what it unpacks to."""
    assert src.file is not None
    if src.packing is None:
        yield Segment(src.file, 1)
        return
    with unpacked(src.file, src.packing) as stream, tempfile.TemporaryDirectory(prefix="sdtrace-") as folder:
        line, rest, error = 1, b"", None
        while error is None:
            block, error = _read(stream, SEGMENT)
            src.reading.damage.extend([error] if error else [])
            if not block and error is None:
                break
            end = block.rfind(b"\n") + 1
            whole, rest = rest + block[:end], block[end:] if end else rest + block
            if not end and error is None:
                continue
            piece = Path(folder) / "piece"
            piece.write_bytes(whole + (rest if error else b""))
            yield Segment(piece, line)
            line += whole.count(b"\n")
            rest = b"" if error else rest
        if rest:
            piece = Path(folder) / "piece"
            piece.write_bytes(rest)
            yield Segment(piece, line)


def lines(src: Source) -> Iterator[tuple[int, bytes]]:
    """Numbered lines of an input, with their newlines."""
    for segment in segments(src):
        with segment.file.open("rb") as stream:
            for number, line in enumerate(stream, start=segment.first):
                src.reading.line = number
                yield number, line
    src.reading.line = None


def whole(src: Source) -> bytes:
    """All that a small input unpacks to, as far as it does."""
    assert src.file is not None
    with unpacked(src.file, src.packing) as stream:
        text, error = _read(stream, sys.maxsize)
    src.reading.damage.extend([error] if error else [])
    return text


def _read(stream: IO[bytes], most: int) -> tuple[bytes, str | None]:
    """About `most` bytes; what came before an error is kept, which `read` alone would throw away with its buffer."""
    blocks, size = [], 0
    once = cast(io.BufferedIOBase, stream).read1
    try:
        while size < most and (block := once(1 << 20)):
            blocks.append(block)
            size += len(block)
    except _BROKEN as broken:
        return b"".join(blocks), f"{type(broken).__name__}: {broken}"
    return b"".join(blocks), None
