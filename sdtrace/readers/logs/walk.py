"""A walk over a text log: only lines that hold a needle are looked at, the others are counted.

Small logs are searched for every needle of every dialect, so that two engines in one log are both heard. In the middle
of a log beyond LARGE the main needles of the dialects seen in samples are searched for, and each hit brings the lines
before it along.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.readers.logs.dialect import Dialect, Heard
from sdtrace.readers.logs.envelope import bare
from sdtrace.readers.source import Segment, Source, segments
from sdtrace.trace import OTHER, Batch, Loss, Notice, conform, empty
from sdtrace.windows import from_rows, no_windows

Ints = npt.NDArray[np.int64]

BLOCK, LARGE, LINES = 1 << 20, 64 << 20, 65_536
#: Bytes at either end of a large log that are searched for everything: it starts and it dies there.
EDGE = 8 << 20
#: Lines before a hit that are looked at too, in a large log.
BEFORE = 3
#: A line longer than this is cut: a record of an engine is shorter.
LONGEST = 1 << 16

#: Words that only a line about acceptance has; a small log is searched for them too.
ALSO = (b"acceptance rate", b"acceptance length", b"accept rate", b"#acc tokens", b"spec_accept_", b"accept_length")
_SPEAKS = (
    r"SpecDecoding metrics|Speculative metrics|[Aa]cceptance (?:rate|length)|accept (?:rate|len)\b|draft acceptance"
    r"|#acc (?:tokens|drafts)|spec_accept_\w+|accept_length:|speculative decode stats"
)
_UNREAD = (
    "user text, a remark, a copy that lost its form, or an engine that is not known here: its figures are not used"
)


def batches(src: Source, dialects: Sequence[Dialect]) -> Iterator[Batch]:
    """Windows and events of a log, a few ten thousand lines of interest at a time."""
    listeners = [(dialect, dialect.listen(src.path)) for dialect in dialects]
    lines = taken = 0
    for segment in segments(src):
        for found, count in _hits(segment, dialects):
            lines += count
            if found is None or not found.height:
                continue
            made = _heard(src.path, found, listeners)
            taken += made.lines
            yield made
        if segment.error:
            advice = "what came before was read; get the file again, the rest of it is missing"
            what = f"the compressed file is damaged: {segment.error[:160]}"
            yield _closing(src.path, 0, [], [Notice(src.path, None, what, 1, advice)])
    rest = [Loss(src.path, None, OTHER, lines - taken, "expected in a log")] if lines > taken else []
    yield _closing(src.path, lines - taken, rest, [])


def _closing(path: str, lines: int, losses: list[Loss], notices: list[Notice]) -> Batch:
    return Batch(path, lines, empty("run"), empty("request"), empty("step"), losses, notices, no_windows())


def _heard(path: str, raw: pl.DataFrame, listeners: Sequence[tuple[Dialect, Callable[[pl.DataFrame], Heard]]]) -> Batch:
    """What the dialects make of some lines; a line that speaks of acceptance and that none of them reads is a loss."""
    found = bare(raw)
    told = [listen(found) for _, listen in listeners]
    used: set[int] = set().union(*(heard.used for heard in told))
    lost = {loss.line: loss for heard in reversed(told) for loss in reversed(heard.losses) if loss.line not in used}
    for line in found.filter(pl.col("text").str.contains(_SPEAKS))["line"].to_list():
        if line not in used and line not in lost:
            lost[line] = Loss(path, line, "speaks of acceptance, but is no record of an engine", 1, _UNREAD)
    frames = [frame for heard in told for frame in (from_rows(path, heard.rows), *heard.frames) if frame.height]
    windows = pl.concat(frames).sort("line", maintain_order=True) if frames else no_windows()
    events = [event for heard in told for event in heard.events]
    losses = [lost[line] for line in sorted(lost, key=lambda n: n or 0)]
    steps, runs = _tables(path, told)
    records = len(used) - steps.height - runs.height
    return Batch(
        path, len(used) + len(losses), runs, empty("request"), steps, losses, [], windows, events, records=records
    )


def _tables(path: str, told: Sequence[Heard]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Steps (and the run that they are of) of a dialect whose lines carry single decisions."""
    steps = [step for heard in told for step in heard.steps]
    if not steps:
        return empty("step"), empty("run")
    runs = [run for heard in told for run in heard.runs]
    table = conform(pl.DataFrame(steps, infer_schema_length=None), "step", extra=("line",))
    return table, conform(pl.DataFrame(runs), "run") if runs else empty("run")


def _hits(segment: Segment, dialects: Sequence[Dialect]) -> Iterator[tuple[pl.DataFrame | None, int]]:
    """Frames (line, text) of lines that hold a needle, and how many lines were passed."""
    size = segment.file.stat().st_size
    every = sorted({n for d in dialects for n in d.needles}.union(ALSO))
    main = sorted({n for d in dialects for n in d.main or d.needles})
    number, rest, offset = segment.first, b"", 0
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
            large = size > LARGE and EDGE < offset < size - EDGE
            offset += end
            for i in _lines_of(data, end, ends, main if large else every, large):
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
