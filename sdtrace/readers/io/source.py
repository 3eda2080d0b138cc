"""Where the bytes of an input come from, and the lines in them."""

import io
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO

from sdtrace.errors import NoInputError
from sdtrace.limits import USUAL, LimitError, Limits, lifted, size
from sdtrace.readers.io import streams
from sdtrace.readers.io.encoding import Recoded, encoding
from sdtrace.readers.io.paths import is_stream, trouble
from sdtrace.readers.io.unpack import MAGIC, read, unpacked
from sdtrace.readers.io.unwrapped import LINES, Unwrapped

#: Decompressed bytes that stand in a temporary file at a time.
SEGMENT = 64 << 20
HEAD = 1 << 16


@dataclass
class Reading:
    """What is met while an input is read: the line at hand, where lines are read one by one; how a packed file breaks off;
    limits, each with its line if it has one; what was taken off around the text."""

    line: int | None = None
    damage: list[str] = field(default_factory=list)
    met: list[tuple[int | None, LimitError]] = field(default_factory=list)
    unwrapped: Unwrapped | None = None

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

    `cut` is the limit that was met while a stream was copied. `encoding` is what the text is written in, None for UTF-8;
    `peel` takes off what is around it, None where there is nothing: `head` is then of the text inside.
    """

    path: str
    file: Path | None
    packing: str | None
    head: bytes
    limits: Limits = field(default=USUAL, repr=False)
    cut: LimitError | None = field(default=None, compare=False, repr=False)
    encoding: str | None = None
    peel: Callable[[str], Unwrapped] | None = field(default=None, repr=False)
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
            raise NoInputError(*why, path)
        file = Path(path)
        if path == "-" or is_stream(path):
            file, cut = streams.kept(path, limits, wait=wait)
    if file.is_dir():
        return Source(path, file, None, b"", limits)
    try:
        with file.open("rb") as raw:
            first = raw.read(8)
        packing = next((name for magic, name in MAGIC.items() if first.startswith(magic)), None)
        with unpacked(file, packing, limits) as stream:
            head = read(stream, HEAD)[0][:HEAD]
        src = Source(path, file, packing, head, limits, cut, encoding(head))
        if src.encoding is not None:
            src = replace(src, head=start(src, HEAD - 1))
    except OSError as error:
        raise NoInputError(str(error.strerror or error), "check the file and its permissions", path) from error
    return src


@contextmanager
def _opened(src: Source) -> Iterator[IO[bytes]]:
    """The decompressed bytes of an input, its text as UTF-8."""
    assert src.file is not None
    with unpacked(src.file, src.packing, src.limits) as stream:
        yield stream if src.encoding is None else io.BufferedReader(Recoded(stream, src.encoding), 1 << 20)


def start(src: Source, most: int) -> bytes:
    """The first bytes of what an input unpacks to: all of it where that is not more than `most`."""
    with _opened(src) as stream:
        return read(stream, most + 1)[0]


def blocks(src: Source) -> Iterator[bytes]:
    """The decompressed bytes of an input, piece by piece, as far as it unpacks; envelopes stay on."""
    with _opened(src) as stream:
        error = None
        while error is None:
            block, error = read(stream, 1 << 20)
            src.reading.ended(error)
            if not block:
                return
            yield block


def begun(src: Source) -> Source:
    """The source as it is before anything of it was read."""
    return replace(src, reading=Reading(met=[(None, src.cut)] if src.cut is not None else []))


def segments(src: Source) -> Iterator[Segment]:
    """The input as plain files of whole lines: itself, or temporary pieces of what it unpacks to."""
    assert src.file is not None
    if src.peel is not None and (text := whole(src, src.limits.max_line)) is not None:
        with tempfile.TemporaryDirectory(prefix="sdtrace-") as folder:
            piece = Path(folder) / "piece"
            piece.write_bytes(text)
            yield Segment(piece, 1)
        return
    if src.peel is not None:
        most = src.limits.max_line
        what = f"a text in an envelope, of more than {size(most)} or {LINES:,} lines, read as it stands"
        src.reading.met.append((None, LimitError(what, lifted("max_line", most))))
    if src.packing is None and src.encoding is None:
        yield Segment(src.file, 1)
        return
    with (
        _opened(src) as stream,
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
    """All that an input unpacks to, as far as it does, out of its envelopes; None where that is more than `most` bytes, or, in
    envelopes, more than LINES lines."""
    with _opened(src) as stream:
        text, error = read(stream, most + 1)
    if len(text) > most or (src.peel is not None and text.count(b"\n") > LINES):
        return None
    src.reading.ended(error)
    if src.peel is None:
        return text
    src.reading.unwrapped = inside = src.peel(text.decode("utf-8", "replace"))
    return inside.text.encode("utf-8", "replace")
