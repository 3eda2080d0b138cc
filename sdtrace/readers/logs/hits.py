"""The lines of a text log that hold a needle; the others are counted and not looked at.

Small logs are searched for every needle of every dialect, so that two engines in one log are both heard. In the middle
of a log beyond LARGE the main needles of the dialects seen in samples are searched for, and each hit brings along what
its dialect wants of the lines before it; of announcements those are found there that a level or a few rare words betray.
One buffer, small enough for the processor's cache, is filled, searched and counted in turn: each byte is passed once by each.
Hundreds of needles, and lines that are wanted in many places, are searched for line by line (`by_line`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from io import FileIO

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.readers.io.source import Segment
from sdtrace.readers.logs.by_line import BEFORE, LONGEST, by_line, texts
from sdtrace.readers.logs.dialect import Dialect
from sdtrace.readers.logs.prompts import inside, prompted

Bools = npt.NDArray[np.bool_]
#: Where a line begins and ends.
Span = tuple[int, int]

BLOCK, LARGE = 1 << 19, 64 << 20
#: Lines of a frame, and bytes of them, at the most: a frame costs some 150 calls of polars whatever it holds. Twice as many lines took
#: 4 to 9% of the processor time of 1 GB away (`tests/bench/logs.py --megabytes 1024`, two runs each).
LINES, MUCH = 16_384, 16 << 20
#: Blocks that are passed at the most before the lines in them are told.
TURN = 64
#: Bytes of a line at the most.
LINE = 4 << 20
#: Bytes at either end of a large log that are searched for everything: it starts and it dies there.
EDGE = 4 << 20
#: Where one of so many lines of a block is wanted, the next block is searched line by line.
MANY = 16
#: A byte is rare that occurs less than once in so many.
RARE = 400
#: Levels that many lines have which announce nothing.
LEVELS = (b"WARNING",)
#: Words that only a line about acceptance has; a small log is searched for them too.
ALSO = (b"acceptance rate", b"acceptance length", b"accept rate", b"#acc tokens", b"spec_accept_", b"accept_length")


@dataclass(frozen=True)
class Block:
    """Whole lines: text[:stop]; `newline` marks their ends. Both are written over by the next block."""

    text: bytearray
    newline: Bools
    stop: int

    def whole(self) -> bytes:
        """Its bytes, to keep."""
        with memoryview(self.text) as text:
            return bytes(text[: self.stop])

    def between(self, start: int, stop: int) -> int:
        """How many lines end there."""
        return int(np.count_nonzero(self.newline[start:stop]))


@dataclass
class Rows:
    """Lines on their way into a frame: their numbers, the bytes of each, and which of them begin inside a prompt."""

    numbers: list[int] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    asked: list[bool] = field(default_factory=list)
    held: int = 0

    def add(self, first: int, lines: Sequence[tuple[int, bytes]], asked: Set[int]) -> None:
        """Lines of a block whose first line has the number `first`, by their index."""
        found = [text for _, text in lines]
        self.numbers += [first + i for i, _ in lines]
        self.asked += [i in asked for i, _ in lines] if asked else [False] * len(lines)
        self.texts += found
        self.held += sum(map(len, found))

    def frame(self) -> pl.DataFrame:
        """(line, text, asked)"""
        lines = pl.Series("line", self.numbers, dtype=pl.Int64)
        text = texts(self.texts).alias("text")
        asked = pl.Series("asked", self.asked, dtype=pl.Boolean)
        return pl.DataFrame([lines, text.str.strip_chars_end("\r\n "), asked])


def hits(
    segment: Segment, dialects: Sequence[Dialect], sample: bytes = b""
) -> Iterator[tuple[pl.DataFrame | None, int]]:
    """Frames (line, text, asked) of lines that hold a needle, at least one row each, and how many lines were passed.

    `asked`: the line begins inside a prompt that is printed over several lines.

    `sample` are pieces of the log: a main needle that none of them holds is searched for only if they hold none at all, and
    what is wanted before it likewise.
    """
    size = segment.file.stat().st_size
    every = sorted({n for d in dialects for n in d.needles}.union(ALSO))
    main = sorted({n for d in dialects for n in d.main or d.needles})
    main = [n for n in main if n in sample] or main
    alarms = sorted({n for d in dialects for n in d.alarms})
    telling = [n for n in every if n not in LEVELS]
    rare = _rare({*main, *alarms}, sample)
    before = sorted({n for d in dialects for n in d.before})
    before = [n for n in before if n in sample] if any(n in sample for n in main) else before
    number, offset, passed = segment.first, 0, 0
    asks = size <= LARGE or prompted(sample)
    rows, many = Rows(), False
    with segment.file.open("rb", buffering=0) as stream:
        for turn, block in enumerate(_blocks(stream), start=1):
            large = size > LARGE and EDGE < offset < size - EDGE
            offset += block.stop
            if not large:
                found, lines = by_line(block.whole(), every)
            elif many:
                found, lines = by_line(block.whole(), main, before, alarms, telling)
            else:
                betrayed = _told(block, alarms, telling, rare) if alarms else []
                found, lines = _found(block, _spans(block, main, rare), betrayed, before)
            many = len(found) * MANY > lines
            asked = _asked(block) if asks and found else set()
            rows.add(number, found, asked)
            number += lines
            passed += lines
            if len(rows.texts) >= LINES or rows.held >= MUCH:
                yield rows.frame(), passed
                rows, passed = Rows(), 0
            elif turn % TURN == 0:
                yield None, passed
                passed = 0
    yield (rows.frame() if rows.texts else None), passed


def _blocks(stream: FileIO) -> Iterator[Block]:
    """About BLOCK bytes at a time; the last line may lack its newline, and a line longer than LINE is broken."""
    rest = b""
    text, newline = bytearray(LINE + BLOCK), np.empty(LINE + BLOCK, dtype=np.bool_)
    seen = np.frombuffer(text, dtype=np.uint8)
    with memoryview(text) as view:
        while True:
            text[: len(rest)] = rest
            filled, end, read = len(rest), 0, -1
            while not end and read and filled < LINE:
                read = stream.readinto(view[filled : filled + BLOCK]) or 0
                end = text.rfind(b"\n", filled, filled + read) + 1
                filled += read
            end = end or filled
            if not end:
                return
            rest = bytes(view[end:filled])
            np.equal(seen[:end], 10, out=newline[:end])
            yield Block(text, newline, end)


def _found(
    block: Block, spans: Sequence[Span], betrayed: Sequence[Span], before: Sequence[bytes]
) -> tuple[list[tuple[int, bytes]], int]:
    """Lines of both kinds, each once and in order, by their index in the block; of the lines before `spans` what is wanted; and
    how many lines the block has. Between two lines their ends are counted once."""
    text, newline, count = block.text, block.newline, np.count_nonzero
    wanted = sorted({*spans, *betrayed}) if betrayed else spans
    places, index, counted = [], 0, 0
    for start, _ in wanted:
        index += int(count(newline[counted:start]))
        places.append(index)
        counted = start
    lines = index + int(count(newline[counted : block.stop])) + (text[block.stop - 1] != 10)
    found = [
        (index, bytes(text[start : min(stop, start + LONGEST)]))
        for index, (start, stop) in zip(places, wanted, strict=True)
    ]
    if not before:
        return found, lines
    hit = set(spans)
    near = [
        line
        for index, span in zip(places, wanted, strict=True)
        if span in hit
        for line in _before(text, before, index, span[0])
    ]
    return sorted({*near, *found}), lines


def _told(block: Block, alarms: Sequence[bytes], telling: Sequence[bytes], rare: Mapping[bytes, bytes]) -> list[Span]:
    """Lines that an alarm betrays, and that hold a needle too."""
    text = block.text
    return [
        (start, stop)
        for start, stop in _spans(block, alarms, rare)
        if any(text.find(needle, start, min(stop, start + LONGEST)) >= 0 for needle in telling)
    ]


def _asked(block: Block) -> set[int]:
    """Lines of the block, by their index, that begin inside a prompt."""
    asked: set[int] = set()
    index = counted = 0
    for start, stop in inside(block.text, block.stop):
        index, counted = index + block.between(counted, start), start
        asked.update(range(index, index + block.between(start, stop - 1) + 1))
    return asked


def _before(text: bytearray, needles: Sequence[bytes], index: int, start: int) -> list[tuple[int, bytes]]:
    """Of the BEFORE lines in front of a hit the nearest that holds a needle, for each of them."""
    found = []
    for needle in needles:
        end, back = start - 1, 1
        while end > 0 and back <= BEFORE:
            begin = text.rfind(b"\n", 0, end) + 1
            if text.find(needle, begin, end) >= 0:
                found.append((index - back, bytes(text[begin : min(end, begin + LONGEST)])))
                break
            end, back = begin - 1, back + 1
    return found


def _rare(needles: Iterable[bytes], sample: bytes) -> dict[bytes, bytes]:
    """The byte of a needle that the log holds least; none where even that is too frequent to be looked for alone."""
    often = np.bincount(np.frombuffer(sample, dtype=np.uint8), minlength=256).tolist()
    least = {needle: min(needle, key=often.__getitem__) for needle in needles}
    return {needle: bytes([byte]) for needle, byte in least.items() if often[byte] * RARE < len(sample)}


def _spans(block: Block, needles: Sequence[bytes], rare: Mapping[bytes, bytes]) -> list[Span]:
    """Where the lines begin and end that hold a needle. A single byte is found by the processor's own search, so a rare one is
    looked for first; where a line holds the needle, the search goes on behind its end."""
    spans: list[Span] = []
    find, rfind, starts, end = block.text.find, block.text.rfind, block.text.startswith, block.stop
    for needle in needles:
        sought = rare.get(needle, needle)
        shift = needle.index(sought)
        at = find(sought, shift, end)
        while at >= 0:
            if sought is needle or starts(needle, at - shift, end):
                stop = find(b"\n", at, end)
                stop = end if stop < 0 else stop
                spans.append((rfind(b"\n", 0, at - shift) + 1, stop))
                at = find(sought, stop, end)
            else:
                at = find(sought, at + 1, end)
    return sorted(set(spans)) if len(needles) > 1 else spans
