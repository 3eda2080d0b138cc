"""A walk over a text log: what dialects hear in the lines of interest, and a loss for what none of them reads."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import polars as pl

from sdtrace.readers.io.prefetch import ahead
from sdtrace.readers.io.source import Source, segments
from sdtrace.readers.logs.dialect import Dialect, Heard
from sdtrace.readers.logs.envelope import bare
from sdtrace.readers.logs.hits import hits
from sdtrace.schema.counters import from_rows, no_windows
from sdtrace.schema.trace import OTHER, Batch, Loss, conform, empty

#: Words that only a line about acceptance has.
_SPEAKS = (
    r"SpecDecoding metrics|Speculative metrics|[Aa]cceptance (?:rate|length)|accept (?:rate|len)\b|draft acceptance"
    r"|#acc (?:tokens|drafts)|spec_accept_\w+|accept_length:|speculative decode stats"
)
_UNREAD = (
    "user text, a remark, a copy that lost its form, or an engine that is not known here: its figures are not used"
)


def batches(src: Source, dialects: Sequence[Dialect], sample: bytes = b"") -> Iterator[Batch]:
    """Windows and events of a log, some thousand lines of interest at a time; `sample`: pieces of it."""
    listeners = [(dialect, dialect.listen(src.path)) for dialect in dialects]
    lines = taken = 0
    for segment in segments(src):
        with closing(ahead(hits(segment, dialects, sample), 2)) as frames:
            for found, count in frames:
                lines += count
                if found is None:
                    continue
                made = _heard(src.path, found, listeners)
                taken += made.lines
                yield made
    rest = [Loss(src.path, None, OTHER, lines - taken, "expected in a log")] if lines > taken else []
    yield _closing(src.path, lines - taken, rest)


def _closing(path: str, lines: int, losses: list[Loss]) -> Batch:
    return Batch(path, lines, empty("run"), empty("request"), empty("step"), losses, [], no_windows())


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
