"""Trace format 1 as JSON Lines, at DuckDB's speed and in bounded memory.

DuckDB parses; a scanner walks the same bytes beside it and knows which lines a batch of rows came from. A batch is
taken as it is only when every colon of its bytes is accounted for by a value that arrived (or an explicit null): then
no unknown key, no wrong type and no broken line is in it. Otherwise exactly its lines are read again one by one.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import polars as pl

from sdtrace.readers.io.lines import Lines, Stretch, nulls, without
from sdtrace.readers.io.prefetch import ahead
from sdtrace.readers.io.source import Segment, Source, segments
from sdtrace.readers.reader import Reader, of_text
from sdtrace.readers.trace.strict import Parsed, parse
from sdtrace.readers.trace.validate import Validator
from sdtrace.schema.arrays import Ints
from sdtrace.schema.trace import STEP, Batch, Loss, conform

if TYPE_CHECKING:
    import duckdb

#: Bytes of lines in a batch, and rows at the most.
BYTES, ROWS = 16 << 20, 32_768
_SAMPLE = 1 << 18
#: Blank lines of a stretch that are told one by one.
BLANK = 50
#: Megabytes that DuckDB may take beside its buffers, of which every thread has two for the longest line.
MEMORY = 1024
_KIND = re.compile(rb'"kind"\s*:\s*"(?:run|request|step)"')

_DUCK = {pl.String: "VARCHAR", pl.Int64: "DOUBLE", pl.Float64: "DOUBLE", pl.Boolean: "BOOLEAN"}


@lru_cache(4)
def sniff(head: bytes) -> str | None:
    """None where the head is JSON Lines of format 1, otherwise the first line that is not, and why. Other readers ask it too."""
    numbered = [(n, line) for n, line in enumerate(head.split(b"\n"), 1) if line.strip()]
    numbered = [pair for pair in numbered if not pair[1].startswith(b"#")] or numbered
    if not numbered:
        return "no line at all"
    lines = [line for _, line in numbered]
    for line in (lines[:-1] or lines)[:50]:
        parsed = parse("", [(1, line)])
        if any(parsed.rows.values()):
            return None
    if len(lines) == 1 and _KIND.search(lines[0][:4096]) and lines[0].lstrip().startswith(b"{"):
        return None
    first = parse("", numbered[:1]).losses
    return f"line {numbered[0][0]}: {first[0].what}" if first else "no line is a run, a request or a step"


def batches(src: Source) -> Iterator[Batch]:
    """The input in batches of at most ROWS lines or about BYTES."""
    validator = Validator(src.path)
    for segment in segments(src):
        yield from _segment(src, segment, validator)
    yield validator.last()


def _segment(src: Source, segment: Segment, validator: Validator) -> Iterator[Batch]:
    rows, names, read, again = _rows(segment.file), _present(segment.file), 0, True
    with segment.file.open("rb") as stream:
        lines = Lines(stream, segment.first, src.limits.max_line)
        while again:
            again = False
            with closing(ahead(_parsed(segment.file, rows, names, read, src.limits.max_line), 2)) as frames:
                for frame in frames:
                    for stretch, part in _beside(lines, frame):
                        read += part.height
                        parsed, steps, clean = _settle(src.path, stretch, part, lines.cut)
                        yield validator.batch(parsed, steps, len(stretch.end))
                        if not clean:  # columns that begin later
                            again |= bool(more := _named(bytes(stretch.text[: stretch.stop])) - set(names))
                            names = [*names, *sorted(more)]
                    again &= not lines.passed
                    if again or lines.passed:
                        break
        while len((stretch := lines.take(rows)).end):  # what DuckDB gave up on, and trailing blanks
            parsed = _one_by_one(src.path, stretch, np.arange(len(stretch.end)), lines.cut)
            yield validator.batch(parsed, parsed.frame("step"), len(stretch.end))
    for number in lines.passed:
        src.reading.too_long(number, src.limits)


def _beside(lines: Lines, frame: pl.DataFrame) -> Iterator[tuple[Stretch, pl.DataFrame]]:
    """The lines that the rows of a frame stand on, with the rows: in one go, unless they are too many bytes.

    Behind a line that is too long no row is given: it is not known whether DuckDB has one for that line.
    """
    while frame.height and len((stretch := lines.take(frame.height)).end):
        n = int(np.count_nonzero(stretch.full)) if not lines.passed else 0
        yield stretch, frame.head(n)
        frame = frame.slice(n) if n or not lines.passed else frame.clear()


def _rows(file: Path) -> int:
    """Rows of a batch: fewer where lines are long."""
    with file.open("rb") as stream:
        head = stream.read(1 << 20)
    length = len(head) / max(head.count(b"\n"), 1)
    return int(min(max(BYTES / max(length, 1.0), 64), ROWS))


def _present(file: Path) -> list[str]:
    """The columns that samples of the file name: DuckDB need not look for others, which costs it half its time."""
    size, named = file.stat().st_size, {"run_id", "request_id", "step", "draft_token_ids"}
    with file.open("rb") as stream:
        for begin in sorted({max(0, size - _SAMPLE) * part // 4 for part in range(5)}):
            stream.seek(begin)
            named |= _named(stream.read(_SAMPLE))
    return sorted(named)


def _named(text: bytes) -> set[str]:
    return {name for name in STEP if b'"%s"' % name.encode() in text}


def _parsed(file: Path, rows: int, names: Sequence[str], skip: int, longest: int) -> Iterator[pl.DataFrame]:
    """Rows from `skip` on as DuckDB reads them, one a non-blank line, in order; ends early where it fails: at a line of more
    than `longest` bytes, or where rows take more memory than it may have."""
    import duckdb  # only for lines: a report on Parquet is spared a tenth of what it loads

    if file.stat().st_size == 0:
        return
    columns = ",".join(f"'{name}':'{_duck_type(STEP[name].dtype)}'" for name in names)
    query = (
        f"select * from read_json(?, format='newline_delimited', columns={{'kind':'VARCHAR',{columns}}}, "
        f"ignore_errors=true, maximum_object_size={longest})" + (f" offset {skip}" if skip else "")
    )
    with _database(longest).cursor() as connection:
        connection.execute("set enable_progress_bar=false")  # a notebook or `python -c` would get one on its output
        try:
            relation = connection.sql(query, params=[str(file)])
            # the first name came with DuckDB 1.5, and the other one warns since then
            read = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
            for piece in read(rows):
                frame = pl.from_arrow(piece)
                assert isinstance(frame, pl.DataFrame)
                yield frame
        except (duckdb.Error, OSError):
            _database.cache_clear()  # the next file has a sound one
            return


@lru_cache(4)
def _database(longest: int) -> "duckdb.DuckDBPyConnection":
    """DuckDB for lines of so many bytes, begun once: to begin costs more than to read a short trace."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("set preserve_insertion_order=true")
    threads = int((connection.execute("select current_setting('threads')").fetchone() or (1,))[0])
    connection.execute(f"set memory_limit='{MEMORY + 4 * threads * (longest >> 20)}MB'")
    return connection


def _duck_type(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.List):
        inner = dtype.inner
        return "BIGINT[]" if inner == pl.Int64 else f"{_duck_type(cast(pl.DataType, inner))}[]"
    return _DUCK[type(dtype)]


def _settle(path: str, stretch: Stretch, frame: pl.DataFrame, cut: bool) -> tuple[Parsed, pl.DataFrame, bool]:
    """Steps of a batch, from DuckDB where that is safe (then True); everything else line by line."""
    full = np.flatnonzero(stretch.full)
    every = np.arange(len(stretch.end))
    if len(full) != frame.height:
        parsed = _one_by_one(path, stretch, every, cut)
        return parsed, parsed.frame("step"), False
    is_step = frame["kind"].eq("step").fill_null(value=False)
    others = full[~is_step.to_numpy()]
    steps = frame.filter(is_step) if len(others) else frame
    if not _clean(stretch, others, steps):
        parsed = _one_by_one(path, stretch, every, cut)
        return parsed, parsed.frame("step"), False
    rest = np.sort(np.concatenate((others, np.flatnonzero(~stretch.full))))
    parsed = _one_by_one(path, stretch, rest, cut)
    numbered = steps.with_columns(
        pl.col(_integers(steps)).cast(pl.Int64),
        pl.col("run_id").fill_null(""),
        line=pl.Series(full[is_step.to_numpy()] + stretch.first, dtype=pl.Int64),
    )
    sound = conform(numbered, "step", extra=("line",))
    if parsed.rows["step"]:  # lines that DuckDB refused and a closer look does not: a byte order mark, a lone surrogate
        sound = pl.concat([sound, parsed.frame("step")]).sort("line")
    return parsed, sound, True


def _one_by_one(path: str, stretch: Stretch, which: Ints, cut: bool) -> Parsed:
    """Lines of a stretch, read one by one; of many blank ones only the first, the others are one loss."""
    blank = which[~stretch.full[which]][BLANK:]
    read = np.setdiff1d(which, blank, assume_unique=True) if len(blank) else which
    parsed = parse(path, stretch.lines(read), last_is_cut=cut and bool(len(read)) and read[-1] == len(stretch.end) - 1)
    if len(blank):
        parsed.losses.append(Loss(path, None, "blank line", len(blank), "harmless"))
    return parsed


def _clean(stretch: Stretch, others: Ints, steps: pl.DataFrame) -> bool:
    """Whether every colon of the steps' bytes belongs to a value that arrived, and integers are whole."""
    colons = without(stretch, others)
    arrived = sum(steps.height - steps[name].null_count() for name in steps.columns)
    if len(colons) != arrived:
        arrived += nulls(np.frombuffer(stretch.text, dtype=np.uint8, count=stretch.stop), colons)
    if len(colons) != arrived:  # colons within strings, of which some may look as if they stood before a null
        said = [steps[name] for name in steps.columns if steps[name].dtype == pl.String and name != "kind"]
        arrived += _matches(said, ":") - _matches(said, r":[ \t]?n")
    if len(colons) != arrived:
        return False
    lists = [name for name in steps.columns if isinstance(steps[name].dtype, pl.List)]
    if any(_inner_nulls(steps[name]) for name in lists):  # an entry of another type arrives as null
        return False
    integers = pl.col(_integers(steps))
    whole = steps.select((integers == integers.floor()).all()).row(0)
    small = steps.select((integers.abs() < 2**53).all()).row(0)
    return all(whole) and all(small)


def _matches(texts: Sequence[pl.Series], pattern: str) -> int:
    return sum(int(text.str.count_matches(pattern).sum()) for text in texts)


def _integers(steps: pl.DataFrame) -> list[str]:
    return [name for name in steps.columns if name in STEP and STEP[name].dtype == pl.Int64]


def _inner_nulls(lists: pl.Series) -> int:
    if lists.null_count() == len(lists):
        return 0
    flat = lists.explode(empty_as_null=False, keep_nulls=False)
    return flat.null_count() or (_inner_nulls(flat) if isinstance(flat.dtype, pl.List) else 0)


READER = Reader(
    name="trace-jsonl",
    says="trace format 1, JSON Lines",
    looks_for="`kind` of run, request or step",
    refuse=of_text(sniff),
    batches=batches,
)
