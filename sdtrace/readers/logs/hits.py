"""The lines of a text log that hold a needle; the others are counted and not looked at.

Small logs are searched for every needle of every dialect, so that two engines in one log are both heard. In the middle
of a log beyond LARGE the main needles of the dialects seen in samples are searched for, and each hit brings along what
its dialect wants of the lines before it. One thread reads blocks and finds the ends of lines, another searches them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from io import FileIO
from itertools import cycle

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.readers.io.prefetch import ahead
from sdtrace.readers.io.source import Segment
from sdtrace.readers.logs.dialect import Dialect
from sdtrace.readers.logs.prompts import inside, prompted

Bools = npt.NDArray[np.bool_]

BLOCK, LARGE, LINES = 1 << 19, 64 << 20, 8_192
#: Blocks made in advance, and bytes of a line at the most.
AHEAD, LINE = 4, 4 << 20
#: Bytes at either end of a large log that are searched for everything: it starts and it dies there.
EDGE = 4 << 20
#: Lines before a hit that are looked at too, in a large log.
BEFORE = 3
#: A line longer than this is cut: a record of an engine is shorter.
LONGEST = 1 << 16
#: A byte is rare that occurs less than once in so many.
RARE = 400
#: Words that only a line about acceptance has; a small log is searched for them too.
ALSO = (b"acceptance rate", b"acceptance length", b"accept rate", b"#acc tokens", b"spec_accept_", b"accept_length")


@dataclass(frozen=True)
class Block:
    """Whole lines: text[:stop]; `newline` marks their ends. Both are written over when their turn comes again."""

    text: bytearray
    newline: Bools
    stop: int
    lines: int

    def around(self, place: int) -> tuple[int, int]:
        """Where the line that holds a place starts and stops."""
        stop = self.text.find(b"\n", place, self.stop)
        return self.text.rfind(b"\n", 0, place) + 1, self.stop if stop < 0 else stop

    def between(self, start: int, stop: int) -> int:
        """How many lines end there."""
        return int(np.count_nonzero(self.newline[start:stop]))


def hits(
    segment: Segment, dialects: Sequence[Dialect], sample: bytes = b""
) -> Iterator[tuple[pl.DataFrame | None, int]]:
    """Frames (line, text, asked) of lines that hold a needle, at least one row each, and how many lines were passed.

    `asked`: the line begins inside a prompt that is printed over several lines.

    `sample` are pieces of the log: a main needle that none of them holds is searched for only if they hold none at all.
    """
    size = segment.file.stat().st_size
    every = sorted({n for d in dialects for n in d.needles}.union(ALSO))
    main = sorted({n for d in dialects for n in d.main or d.needles})
    main = [n for n in main if n in sample] or main
    rare = {n: byte for n in main if (byte := _rare(n, sample))}
    before = sorted({n for d in dialects for n in d.before})
    number, offset = segment.first, 0
    asks = size <= LARGE or prompted(sample)
    rows: list[tuple[int, bytes, bool]] = []
    with segment.file.open("rb", buffering=0) as stream, closing(ahead(_blocks(stream), AHEAD)) as blocks:
        for block in blocks:
            large = size > LARGE and EDGE < offset < size - EDGE
            offset += block.stop
            found = _found(block, main, before, rare) if large else _found(block, every, (), {})
            asked = _asked(block) if asks and found else set()
            rows += [(number + i, text, i in asked) for i, text in found]
            number += block.lines
            yield (_frame(rows) if len(rows) >= LINES else None), block.lines
            if len(rows) >= LINES:
                rows = []
    if rows:
        yield _frame(rows), 0


def _blocks(stream: FileIO) -> Iterator[Block]:
    """About BLOCK bytes at a time; the last line may lack its newline, and a line longer than LINE is broken."""
    rest = b""
    pool = [(bytearray(LINE + BLOCK), np.empty(LINE + BLOCK, dtype=np.bool_)) for _ in range(AHEAD + 3)]
    for text, newline in cycle(pool):
        text[: len(rest)] = rest
        filled, end, read = len(rest), 0, -1
        while not end and read and filled < LINE:
            with memoryview(text) as view:
                read = stream.readinto(view[filled : filled + BLOCK]) or 0
            end = text.rfind(b"\n", filled, filled + read) + 1
            filled += read
        end = end or filled
        if not end:
            return
        rest = bytes(text[end:filled])
        np.equal(np.frombuffer(text, dtype=np.uint8, count=end), 10, out=newline[:end])
        lines = int(np.count_nonzero(newline[:end])) + (text[end - 1] != 10)
        yield Block(text, newline, end, lines)


def _found(
    block: Block, needles: Sequence[bytes], before: Sequence[bytes], rare: Mapping[bytes, bytes]
) -> list[tuple[int, bytes]]:
    """Lines that hold a needle, each once and in order, by their index in the block; and what is wanted before them."""
    found: dict[int, bytes] = {}
    index = counted = stop = 0
    for place in _places(block, needles, rare):
        if place < stop:
            continue  # the same line again
        start, stop = block.around(place)
        index, counted = index + block.between(counted, start), start
        for needle in before:
            _keep_before(block, needle, index, start, found)
        found[index] = bytes(block.text[start : min(stop, start + LONGEST)])
    return sorted(found.items()) if before else list(found.items())


def _asked(block: Block) -> set[int]:
    """Lines of the block, by their index, that begin inside a prompt."""
    asked: set[int] = set()
    index = counted = 0
    for start, stop in inside(block.text, block.stop):
        index, counted = index + block.between(counted, start), start
        asked.update(range(index, index + block.between(start, stop - 1) + 1))
    return asked


def _keep_before(block: Block, needle: bytes, index: int, start: int, lines: dict[int, bytes]) -> None:
    """The nearest of the BEFORE lines in front of a hit that holds the needle."""
    first = start
    for _ in range(BEFORE):
        first = block.text.rfind(b"\n", 0, max(first - 1, 0)) + 1
    place = block.text.rfind(needle, first, start)
    if place < 0:
        return
    begin, end = block.around(place)
    lines.setdefault(index - block.between(begin, start), bytes(block.text[begin : min(end, begin + LONGEST)]))


def _rare(needle: bytes, sample: bytes) -> bytes | None:
    """The byte of a needle that the log holds least; None where it is too frequent to be looked for alone."""
    byte = min((needle[i : i + 1] for i in range(len(needle))), key=sample.count)
    return byte if sample and sample.count(byte) * RARE < len(sample) else None


def _places(block: Block, needles: Sequence[bytes], rare: Mapping[bytes, bytes]) -> list[int]:
    """Where needles begin. A single byte is found by the processor's own search, so a rare one is looked for first."""
    places: list[int] = []
    find, starts = block.text.find, block.text.startswith
    for needle in needles:
        sought = rare.get(needle, needle)
        shift = needle.index(sought)
        at = find(sought, shift, block.stop)
        while at >= 0:
            if sought is needle or starts(needle, at - shift, block.stop):
                places.append(at - shift)
            at = find(sought, at + len(sought), block.stop)
    return sorted(places) if len(needles) > 1 else places


def _frame(rows: Sequence[tuple[int, bytes, bool]]) -> pl.DataFrame:
    lines = pl.Series("line", [number for number, _, _ in rows], dtype=pl.Int64)
    texts = [text for _, text, _ in rows]
    try:
        text = pl.Series("text", texts, dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.PolarsError:
        text = pl.Series("text", [t.decode("utf-8", "replace") for t in texts], dtype=pl.String)
    asked = pl.Series("asked", [inside for _, _, inside in rows], dtype=pl.Boolean)
    return pl.DataFrame([lines, text.str.strip_chars_end("\r\n "), asked])
