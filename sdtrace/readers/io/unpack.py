"""What a packed file holds, as a stream within its budget; how it is packed is told by content, not by name."""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import zstandard

from sdtrace.limits import Budget, LimitError, Limits

#: What unpacking raises on damaged bytes.
BROKEN = (
    OSError,
    EOFError,
    lzma.LZMAError,
    zstandard.ZstdError,
    zlib.error,
    zipfile.BadZipFile,
    ValueError,
    RuntimeError,
    NotImplementedError,
)
MAGIC = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zst", b"PK\x03\x04": "zip"}
#: The member of a bundle that holds its trace.
_MEMBER = "trace.jsonl"
#: Memory that unpacking xz may take: what its best compression needs is a quarter of it.
XZ = 256 << 20
#: Packed bytes that a zst frame is given at a time: they can hold 2**15 times as many, and all of them come at once.
_FEED = 1 << 12


@contextmanager
def unpacked(file: Path, packing: str | None, limits: Limits) -> Iterator[IO[bytes]]:
    """The decompressed bytes of a file as a stream, which raises LimitError beyond the limits."""
    with file.open("rb") as raw:
        if packing is None:
            yield raw
            return
        budget = Budget(limits, file.stat().st_size)
        if packing == "zip":
            with _member(raw) as member:
                yield _stream(member.read1, budget)
            return
        openers: dict[str, Callable[[IO[bytes]], Callable[[int], bytes]]] = {
            "zst": lambda packed: _Frames(packed).read1,
            "gz": lambda packed: gzip.GzipFile(fileobj=packed).read1,
            "bz2": lambda packed: bz2.BZ2File(packed).read1,
            "xz": lambda packed: _Xz(packed).read1,
        }
        yield _stream(openers[packing](raw), budget)


def _stream(read1: Callable[[int], bytes], budget: Budget) -> IO[bytes]:
    return cast(IO[bytes], io.BufferedReader(_Counted(read1, budget), 1 << 20))


class _Counted(io.RawIOBase):
    """A stream whose bytes are counted; behind those that were too many nothing more comes."""

    def __init__(self, read1: Callable[[int], bytes], budget: Budget) -> None:
        self._read1, self._budget = read1, budget
        self._met: LimitError | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        if self._met is not None:
            raise self._met
        block = self._read1(len(into))
        try:
            self._budget.take(len(block))
        except LimitError as met:
            self._met = met
        into[: len(block)] = block
        return len(block)


class _Frames:
    """What the zst frames of a stream hold, one after the other. EOFError where the last one breaks off, as the library's
    own reader does not tell."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed, self._frame = packed, zstandard.ZstdDecompressor().decompressobj()
        self._ready, self._at, self._begun = b"", 0, False

    def read1(self, size: int) -> bytes:
        """Up to `size` bytes, none at the end."""
        while self._at >= len(self._ready):
            if self._begun and self._frame.eof:
                block, self._begun = self._frame.unused_data, False
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            else:
                block = b""
            block = block or self._packed.read(_FEED)
            if not block:
                if self._begun:
                    raise EOFError("the last zst frame breaks off")
                return b""
            self._begun, self._ready, self._at = True, self._frame.decompress(block), 0
        given = self._ready[self._at : self._at + size]
        self._at += len(given)
        return given


class _Xz:
    """What the xz streams of a file hold, with a bound on the memory that a stream may ask for. What stands behind the last
    stream and is none is no part of it, as the library's own reader has it."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed, self._one = packed, lzma.LZMADecompressor(memlimit=XZ)
        self._begun = self._later = False

    def read1(self, size: int) -> bytes:
        """Up to `size` bytes, none at the end."""
        while True:
            block = b""
            if self._one.eof:
                block = self._one.unused_data.lstrip(b"\0")
                self._one, self._begun, self._later = lzma.LZMADecompressor(memlimit=XZ), False, True
            if not block and self._one.needs_input:
                block = self._packed.read(1 << 16)
                if not block and self._begun:
                    raise EOFError("the xz data breaks off")
            if not block and self._one.needs_input:
                return b""
            try:
                made = self._one.decompress(block, max_length=size)
            except lzma.LZMAError:
                if self._later and not self._begun:
                    return b""
                raise
            self._begun = True
            if made:
                return made


def _member(archive: IO[bytes]) -> zipfile.ZipExtFile:
    """The trace of a bundle. Raises OSError, as any input that cannot be unpacked."""
    try:
        return cast(zipfile.ZipExtFile, zipfile.ZipFile(archive).open(_MEMBER))
    except (*BROKEN, KeyError) as error:
        raise OSError(f"a zip file that is no bundle of sdtrace, or a damaged one: {error}") from error


def read(stream: IO[bytes], most: int) -> tuple[bytes, str | LimitError | None]:
    """About `most` bytes; what came before an error is kept, which `read` alone would throw away with its buffer."""
    blocks, size = [], 0
    once = cast(io.BufferedIOBase, stream).read1
    try:
        while size < most and (block := once(1 << 20)):
            blocks.append(block)
            size += len(block)
    except BROKEN as broken:
        return b"".join(blocks), f"{type(broken).__name__}: {broken}"
    except LimitError as met:
        return b"".join(blocks), met
    return b"".join(blocks), None
