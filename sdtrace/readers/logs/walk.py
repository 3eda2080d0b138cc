"""A walk over a text log: only lines that hold a needle are looked at, the others are counted.

Small logs are searched for every needle of every dialect, so that two engines in one log are both heard. Beyond LARGE
the main needles of the dialects seen in samples are searched for, and each hit brings the lines before it along.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.readers.logs.dialect import Dialect, Heard
from sdtrace.readers.source import Segment, Source, segments
from sdtrace.trace import OTHER, Batch, Loss, Notice, empty
from sdtrace.windows import from_rows, no_windows

Ints = npt.NDArray[np.int64]

BLOCK, LARGE, LINES = 1 << 20, 64 << 20, 65_536
#: Lines before a hit that are looked at too, in a large log.
BEFORE = 3
#: A line longer than this is cut: a record of an engine is shorter.
LONGEST = 1 << 16


def batches(src: Source, dialects: Sequence[Dialect]) -> Iterator[Batch]:
    """Windows and events of a log, a few ten thousand lines of interest at a time."""
    listeners = [(dialect, dialect.listen(src.path)) for dialect in dialects]
    lines = records = 0
    losses: list[Loss] = []
    for segment in segments(src):
        for found, count in _hits(segment, dialects):
            lines += count
            if found is None or not found.height:
                continue
            made = _heard(src.path, found, listeners)
            records += made.records
            losses += made.losses
            yield made
        if segment.error:
            advice = "what came before was read; get the file again, the rest of it is missing"
            what = f"the compressed file is damaged: {segment.error[:160]}"
            yield _closing(src.path, 0, [], [Notice(src.path, None, what, 1, advice)])
    other = lines - records - sum(loss.count for loss in losses)
    rest = [Loss(src.path, None, OTHER, other, "expected in a log")] if other else []
    yield _closing(src.path, lines - records - sum(loss.count for loss in losses), rest, [])


def _closing(path: str, lines: int, losses: list[Loss], notices: list[Notice]) -> Batch:
    return Batch(path, lines, empty("run"), empty("request"), empty("step"), losses, notices, no_windows())


def _heard(
    path: str, found: pl.DataFrame, listeners: Sequence[tuple[Dialect, Callable[[pl.DataFrame], Heard]]]
) -> Batch:
    frames, events, losses, used = [], [], [], set()
    for _, listen in listeners:
        heard = listen(found)
        frames += [from_rows(path, heard.rows), *heard.frames]
        events += heard.events
        losses += [loss for loss in heard.losses if loss.line not in used]
        used |= heard.used
    losses = [loss for loss in losses if loss.line not in used]
    windows = pl.concat([f for f in frames if f.height]) if any(f.height for f in frames) else no_windows()
    count = len(used) + sum(loss.count for loss in losses)
    windows = windows.sort("line", maintain_order=True)
    return Batch(
        path, count, empty("run"), empty("request"), empty("step"), losses, [], windows, events, records=len(used)
    )


def _hits(segment: Segment, dialects: Sequence[Dialect]) -> Iterator[tuple[pl.DataFrame | None, int]]:
    """Frames (line, text) of lines that hold a needle, and how many lines were passed."""
    large = segment.file.stat().st_size > LARGE
    needles = sorted({n for d in dialects for n in ((d.main or d.needles) if large else d.needles)})
    number, rest = segment.first, b""
    numbers: list[int] = []
    texts: list[bytes] = []
    with segment.file.open("rb") as stream:
        while True:
            block = stream.read(BLOCK)
            data = rest + block if rest else block
            if not data:
                break
            end = len(data) if not block else data.rfind(b"\n") + 1
            if not end and block and len(data) < LONGEST * 64:
                rest = data
                continue
            end = end or len(data)
            rest = data[end:]
            ends = _ends(data, end)
            for i in _lines_of(data, end, ends, needles, large):
                start = int(ends[i - 1]) + 1 if i else 0
                numbers.append(number + i)
                texts.append(data[start : int(ends[i])][:LONGEST])
            number += len(ends)
            if len(numbers) >= LINES or not block:
                yield _frame(numbers, texts), len(ends)
                numbers, texts = [], []
            else:
                yield None, len(ends)
            if not block:
                return
    yield _frame(numbers, texts), 0


def _ends(data: bytes, end: int) -> Ints:
    """Where each line ends; the last one may lack its newline."""
    ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8, count=end) == 10)
    if not end or data[end - 1] == 10:
        return ends
    return np.append(ends, end)


def _lines_of(data: bytes, end: int, ends: Ints, needles: Sequence[bytes], large: bool) -> list[int]:
    places: list[int] = []
    for needle in needles:
        at = data.find(needle, 0, end)
        while at >= 0:
            places.append(at)
            at = data.find(needle, at + len(needle), end)
    if not places:
        return []
    index = np.unique(np.searchsorted(ends, np.array(places, dtype=np.int64)))
    if large:
        near = (index[:, None] - np.arange(BEFORE, -1, -1)[None, :]).ravel()
        index = np.unique(near[near >= 0])
    return [int(i) for i in index]


def _frame(numbers: list[int], texts: list[bytes]) -> pl.DataFrame:
    lines = pl.Series("line", numbers, dtype=pl.Int64)
    try:
        text = pl.Series("text", texts, dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.PolarsError:
        text = pl.Series("text", [t.decode("utf-8", "replace") for t in texts], dtype=pl.String)
    return pl.DataFrame([lines, text.str.strip_chars_end("\r\n ")])
