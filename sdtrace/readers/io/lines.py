"""A file of lines through one buffer: which lines a stretch of it holds, and where their colons are."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedIOBase

import numpy as np
import numpy.typing as npt

from sdtrace.schema.arrays import Ints

Bytes = npt.NDArray[np.uint8]

#: Bytes that are read beyond what a stretch is expected to need.
_BLOCK = 1 << 16
#: Bytes that are looked through at a time: what stays in the processor's cache is not fetched twice.
_CHUNK = 1 << 18

_WHITE = np.zeros(256, dtype=bool)
_WHITE[list(b" \t\n\r\v\f")] = True
#: Bytes, and lines, blank ones too, of a stretch at the most.
_MUCH, _MANY = 1 << 26, 1 << 17
#: Colons that are looked behind at a time.
_PLACES = 1 << 15

_NEWLINE, _SPACE, _TAB, _COLON, _N = b"\n \t:n"
#: The bits that a newline and a colon share.
_EITHER = np.uint8(0xFF ^ _NEWLINE ^ _COLON)


@dataclass(frozen=True)
class Stretch:
    """Whole lines of a file: line i is text[start[i] : end[i]], its number `first` + i; `full` are the non-blank ones.

    The text may go on behind the last line: what belongs to the stretch ends at `stop`. `colons` are the places of its
    colons. The text is a window of the reader's buffer: it stands until the next stretch is taken.
    """

    text: memoryview
    start: Ints
    end: Ints
    full: npt.NDArray[np.bool_]
    first: int
    stop: int
    colons: Ints

    def lines(self, which: Ints) -> Iterator[tuple[int, bytes]]:
        """Numbered lines by index."""
        for i in which.tolist():
            yield self.first + i, bytes(self.text[self.start[i] : self.end[i]])


@dataclass
class Lines:
    """A walk over a plain file in stretches of whole lines, through one buffer."""

    stream: BufferedIOBase
    number: int  #: number of the next line
    longest: int = 1 << 25  #: bytes of a line; one that is longer is passed over
    cut: bool = False  #: the last line of the file has no newline
    length: float = 256.0  #: bytes of a line, as seen so far
    passed: list[int] = field(default_factory=list)  #: lines that were too long
    buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(0)))
    used: int = 0  #: bytes of the buffer that were handed out
    held: int = 0  #: bytes of the buffer that hold text
    begun: int = 0  #: bytes of them behind the last newline

    def take(self, rows: int) -> Stretch:
        """The next lines up to and including the `rows`-th that is not blank; fewer at the end of the file, and where they
        would be too many bytes, too many lines, or a line between them is too long. No line at all only at the end."""
        first = size = min(int(rows * self.length * 1.02), _MUCH) + _BLOCK
        while True:
            ended = self._fill(size)
            stretch = self._stretch(rows, ended=ended)
            if stretch is not None:
                return stretch
            if self.used:  # a line at the front was passed over
                continue
            size += size // 4
            if self.begun > self.longest:
                self._pass()
                size = first

    def _pass(self) -> None:
        """Read on behind the line that has begun, without keeping it."""
        self.passed.append(self.number)
        self.number += 1
        self.used = self.held
        while n := self.stream.readinto(self.buffer):
            end = bytes(self.buffer[:n]).find(b"\n") + 1
            if end:
                self.used, self.held = end, n
                return

    def _fill(self, size: int) -> bool:
        """Put the text that is left to the front and read on until `size` bytes are held; True at the end of the file."""
        left = self.buffer[self.used : self.held]
        if len(self.buffer) < size:
            self.buffer = np.empty(size + size // 4, np.uint8).data  # not cleared: most files need little of it
        self.buffer[: len(left)] = left
        self.used, self.held = 0, len(left)
        while self.held < size:
            n = self.stream.readinto(self.buffer[self.held : size])
            if not n:
                return True
            self.held += n
        return False

    def _stretch(self, rows: int, *, ended: bool) -> Stretch | None:
        """The first `rows` non-blank lines of the buffer, None where it should hold more and the file goes on."""
        text = np.frombuffer(self.buffer, dtype=np.uint8, count=self.held)
        end, colons = _places(text)
        ended &= len(end) < _MANY
        self.begun = len(text) - (int(end[-1]) + 1 if len(end) else 0)
        self.cut = ended and bool(len(text)) and text[-1] != _NEWLINE
        if self.cut:
            end = np.append(end, len(text))
        start = np.concatenate((np.zeros(1, dtype=np.int64), end[:-1] + 1)) if len(end) else end
        too_long = np.flatnonzero(end - start > self.longest)
        if len(too_long) and not too_long[0]:
            self.passed.append(self.number)
            self.number, self.used = self.number + 1, min(int(end[0]) + 1, self.held)
            return None
        if len(too_long):
            end, start, ended, self.cut = end[: too_long[0]], start[: too_long[0]], True, False
        white = _WHITE[text[start]]
        full = ~(white & (end - start <= 1))
        for i in np.flatnonzero(white & full).tolist():
            full[i] = bool(bytes(self.buffer[start[i] : end[i]]).strip())
        index = np.flatnonzero(full)
        enough = ended or len(index) >= rows
        if not enough and not (len(end) and (len(end) >= _MANY or len(text) >= _MUCH or self.begun > self.longest)):
            return None
        n = min(len(end) if len(index) <= rows else int(index[rows - 1]) + 1, _MANY)
        self.cut = self.cut and n == len(end)
        stop = min(int(end[n - 1]) + 1, len(text)) if n else 0
        first, self.number, self.used = self.number, self.number + n, stop
        self.length = stop / n if n else self.length
        colons = colons[: np.searchsorted(colons, stop)]
        return Stretch(self.buffer, start[:n], end[:n], full[:n], first, stop, colons)


def _places(text: Bytes) -> tuple[Ints, Ints]:
    """Where the newlines and the colons of a text are, up to some newline behind the _MANY-th."""
    count = 0
    newlines, colons = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for begin in range(0, len(text), _CHUNK):
        chunk = text[begin : begin + _CHUNK]
        found = np.flatnonzero((chunk & _EITHER) == _NEWLINE)  # one look for both, and for a few others
        what = chunk[found]
        newlines.append(found[what == _NEWLINE] + begin)
        colons.append(found[what == _COLON] + begin)
        count += len(newlines[-1])
        if count >= _MANY:
            break
    return np.concatenate(newlines), np.concatenate(colons)


def without(stretch: Stretch, others: Ints) -> Ints:
    """The colons of a stretch that stand in none of those lines."""
    if not len(others):
        return stretch.colons
    edges = np.zeros(len(stretch.colons) + 1, dtype=np.int64)
    np.add.at(edges, np.searchsorted(stretch.colons, stretch.start[others]), 1)
    np.add.at(edges, np.searchsorted(stretch.colons, stretch.end[others]), -1)
    outside: npt.NDArray[np.bool_] = np.cumsum(edges[:-1]) == 0
    return np.asarray(stretch.colons[outside])


def nulls(text: Bytes, colons: Ints) -> int:
    """How many of the colons stand before a null: only `null` begins with an n, behind a blank at the most."""
    found = 0
    for begin in range(0, len(colons), _PLACES):
        behind = colons[begin : begin + _PLACES] + 1
        after = text.take(behind, mode="clip")
        blank = (after == _SPACE) | (after == _TAB)
        if blank.any():
            after = text.take(behind + blank, mode="clip")
        found += int(np.count_nonzero(after == _N))
    return found
