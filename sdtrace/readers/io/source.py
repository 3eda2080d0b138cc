"""Where the bytes of an input come from, and the lines in them."""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO

from sdtrace.errors import NoInputError
from sdtrace.limits import USUAL, LimitError, Limits, lifted, size
from sdtrace.readers.io import streams
from sdtrace.readers.io.paths import is_stream, trouble
from sdtrace.readers.io.unpack import MAGIC, read, unpacked

#: Decompressed bytes that stand in a temporary file at a time.
SEGMENT = 64 << 20
HEAD = 1 << 16


@dataclass
class Reading:
    """What is met while an input is read: the line at hand, where lines are read one by one; how a packed file breaks off;
    limits, each with its line if it has one."""

    line: int | None = None
    damage: list[str] = field(default_factory=list)
    met: list[tuple[int | None, LimitError]] = field(default_factory=list)

    def ended(self, error: str | LimitError | None) -> None:
        """What `read` told of the end of a packed file."""
        if isinstance(error, LimitError):
            self.met.append((None, error))
        elif error is not None:
            self.damage.append(error)

    def too_long(self, line: int, limits: Limits) -> None:
        """A line that was passed over."""
        most = limits.max_line
        self.met.append((line, LimitError(f"a line of more than {size(most)}", lifted("max_line", most))))


@dataclass(frozen=True)
class Source:
    """One input as the user named it; `file` is where its bytes are, `head` its first decompressed bytes.

    `cut` is the limit that was met while a stream was copied.
    """

    path: str
    file: Path | None
    packing: str | None
    head: bytes
    limits: Limits = field(default=USUAL, repr=False)
    cut: LimitError | None = field(default=None, compare=False, repr=False)
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


def source(path: str, file: Path | None = None, limits: Limits = USUAL, *, wait: bool = True) -> Source:
    """Look at an input: what it is packed with, and its first bytes. What can be read once is kept in a temporary file.

    `file` is where the bytes are of a path that is none on this machine. `wait`: for somebody to write into a FIFO.
    Raises NoInputError, OSError.
    """
    cut = None
    if file is None:
        if path != "-" and (why := trouble(path)) is not None:
            raise NoInputError(f"{path}: {why[0]}", why[1])
        file = Path(path)
        if path == "-" or is_stream(path):
            file, cut = streams.kept(path, limits, wait=wait)
    if file.is_dir():
        return Source(path, file, None, b"", limits)
    try:
        with file.open("rb") as raw:
            start = raw.read(8)
        packing = next((name for magic, name in MAGIC.items() if start.startswith(magic)), None)
        with unpacked(file, packing, limits) as stream:
            head = read(stream, HEAD)[0][:HEAD]
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror or error}", "check the file and its permissions") from error
    return Source(path, file, packing, head, limits, cut)


def begun(src: Source) -> Source:
    """The source as it is before anything of it was read."""
    return replace(src, reading=Reading(met=[(None, src.cut)] if src.cut is not None else []))


def segments(src: Source) -> Iterator[Segment]:
    """The input as plain files of whole lines: itself, or temporary pieces of what it unpacks to."""
    assert src.file is not None
    if src.packing is None:
        yield Segment(src.file, 1)
        return
    with (
        unpacked(src.file, src.packing, src.limits) as stream,
        tempfile.TemporaryDirectory(prefix="sdtrace-") as folder,
    ):
        piece = Path(folder) / "piece"
        line, rest, over = 1, b"", False
        while not over or rest:
            block, error = (b"", None) if over else read(stream, SEGMENT)
            src.reading.ended(error)
            over = over or error is not None or not block
            text = rest + block
            if end := len(text) if over else text.rfind(b"\n") + 1:
                piece.write_bytes(memoryview(text)[:end])
                yield Segment(piece, line)
                line += text.count(b"\n", 0, end)
            rest = text[end:]
            if not end and len(rest) > src.limits.max_line:
                rest, over = _passed(stream, src, line)
                line += 1


def _passed(stream: IO[bytes], src: Source, line: int) -> tuple[bytes, bool]:
    """What stands behind a line that is too long, and whether the stream is over."""
    src.reading.too_long(line, src.limits)
    while True:
        block, error = read(stream, 1 << 20)
        src.reading.ended(error)
        if end := block.find(b"\n") + 1:
            return block[end:], error is not None
        if error is not None or not block:
            return b"", True


def lines(src: Source) -> Iterator[tuple[int, bytes]]:
    """Numbered lines of an input, with their newlines. One that is too long is passed over and told at the end."""
    most, reading = src.limits.max_line, src.reading
    for segment in segments(src):
        with segment.file.open("rb") as stream:
            for number, line in enumerate(iter(partial(stream.readline, most + 1), b""), start=segment.first):
                reading.line = number
                if len(line) > most and not line.endswith(b"\n"):
                    reading.too_long(number, src.limits)
                    while (more := stream.readline(most)) and not more.endswith(b"\n"):
                        pass
                    continue
                yield number, line
    reading.line = None


def whole(src: Source, most: int = sys.maxsize) -> bytes | None:
    """All that an input unpacks to, as far as it does; None where that is more than `most` bytes."""
    assert src.file is not None
    with unpacked(src.file, src.packing, src.limits) as stream:
        text, error = read(stream, most + 1)
    if len(text) > most:
        return None
    src.reading.ended(error)
    return text
