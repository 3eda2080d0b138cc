"""A walk over a text log: what dialects hear in the lines of interest, and a loss for what none of them reads."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import polars as pl

from sdtrace.readers.io.prefetch import ahead
from sdtrace.readers.io.source import Source, segments
from sdtrace.readers.logs.authorship import BARE, IN_PROMPT, Author, cleaned
from sdtrace.readers.logs.dialect import Dialect, Heard
from sdtrace.readers.logs.envelope import bare
from sdtrace.readers.logs.hits import hits
from sdtrace.readers.logs.neighbours import strangers, unlike
from sdtrace.schema.counters import from_rows, no_windows
from sdtrace.schema.trace import Batch, Loss, conform, empty, no_tables, other_lines

#: Words that only a line about acceptance has.
_SPEAKS = (
    r"SpecDecoding metrics|Speculative metrics|[Aa]cceptance (?:rate|length)|accept (?:rate|len)\b|draft acceptance"
    r"|#acc (?:tokens|drafts)|spec_accept_\w+|accept_length:|speculative decode stats"
)
_UNREAD = (
    "user text, a remark, a copy that lost its form, or an engine that is not known here: its figures are not used"
)
_UNLIKE = (
    "what an engine prints fits its neighbours; a user's text can have an engine's form: look at the line, its figures are "
    "not used"
)


Listener = Callable[[pl.DataFrame], Heard]


def batches(src: Source, dialects: Sequence[Dialect], sample: bytes = b"") -> Iterator[Batch]:
    """Windows and events of a log, some thousand lines of interest at a time; `sample`: pieces of it."""
    listeners = [(dialect, dialect.listen(src.path)) for dialect in dialects]
    author = Author(dialects)
    author.learn(_lines(sample))
    lines = taken = 0
    for segment in segments(src):
        with closing(ahead(hits(segment, dialects, sample), 2)) as frames:
            for found, count in frames:
                lines += count
                if found is None:
                    continue
                made = _heard(src.path, found, listeners, author)
                taken += made.lines
                yield made
    rest = [other_lines(src.path, lines - taken, "expected in a log")] if lines > taken else []
    yield _closing(src.path, lines - taken, rest)


def _lines(sample: bytes) -> pl.DataFrame:
    """Pieces of a log as its lines, wrappers off."""
    texts = sample.decode("utf-8", "replace").split("\n")
    return bare(pl.DataFrame({"text": texts}, schema={"text": pl.String}))


def _closing(path: str, lines: int, losses: list[Loss]) -> Batch:
    return Batch(path, lines, *no_tables(), losses, [], no_windows())


def _heard(path: str, raw: pl.DataFrame, listeners: Sequence[tuple[Dialect, Listener]], author: Author) -> Batch:
    """What the dialects make of some lines; a line that speaks of acceptance and that none of them reads is a loss."""
    plain = bare(raw.select("line", "text"))
    asked = raw.filter("asked")["line"].to_list()
    clean = cleaned(plain.filter(~pl.col("line").is_in(asked)) if asked else plain)
    told, odd, unsure = [], dict[int, str](), False
    for dialect, listen in listeners:
        mine = author.own(dialect, clean)
        if dialect.envelope is not None and author.stamps(dialect):
            odd |= strangers(dialect.envelope, mine)
            mine = mine.filter(~pl.col("line").is_in(list(odd))) if odd else mine
        heard = listen(mine)
        unsure |= not author.proves(dialect, heard)
        told.append(heard)
    frames = [frame for heard in told for frame in (from_rows(path, heard.rows), *heard.frames) if frame.height]
    windows = pl.concat(frames).sort("line", maintain_order=True) if frames else no_windows()
    odd |= unlike(windows)
    windows = windows.filter(~pl.col("line").is_in(list(odd))) if odd else windows
    used: set[int] = set().union(*(heard.used for heard in told)).difference(odd)
    lost = {loss.line: loss for heard in reversed(told) for loss in reversed(heard.losses) if loss.line not in used}
    reasons = dict.fromkeys(asked, IN_PROMPT) | author.lost
    speaks = pl.col("text").str.contains(_SPEAKS) | pl.col("line").is_in(list(author.lost))
    author.lost.clear()
    for line in set(plain.filter(speaks)["line"].to_list()).difference(used, lost):
        advice = reasons.get(line, _UNREAD)
        lost[line] = Loss(path, line, "speaks of acceptance, but is no record of an engine", 1, advice)
    lost |= {
        line: Loss(path, line, f"does not fit the lines around it: {why}", 1, _UNLIKE) for line, why in odd.items()
    }
    events = [event for heard in told for event in heard.events if event.line not in odd]
    losses = [lost[line] for line in sorted(lost, key=lambda n: n or 0)]
    steps, runs = _tables(path, told)
    records = len(used) - steps.height - runs.height
    lines, doubt = len(used) + len(losses), BARE if unsure else None
    return Batch(path, lines, runs, empty("request"), steps, losses, [], windows, events, records=records, doubt=doubt)


def _tables(path: str, lines: Sequence[Heard]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Steps (and the run that they are of) of a dialect whose lines carry single decisions."""
    steps = [step for heard in lines for step in heard.steps]
    if not steps:
        return empty("step"), empty("run")
    runs = [run for heard in lines for run in heard.runs]
    table = conform(pl.DataFrame(steps, infer_schema_length=None), "step", extra=("line",))
    return table, conform(pl.DataFrame(runs), "run") if runs else empty("run")
