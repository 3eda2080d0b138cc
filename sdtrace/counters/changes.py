"""What changed and when: acceptance, tokens per step, step time, throughput, load and draft length of every series.

A series is one engine, process, rank or pod of one surface. Steps and slow ramps are told from noise by the spread of the
windows themselves (`stats.turns`); the chance of a false one is shared among all figures of all series of an input.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from sdtrace.counters.pasted import share, sides
from sdtrace.counters.restarted import one_name
from sdtrace.counters.scrapes import placed
from sdtrace.counters.sources import increments
from sdtrace.schema.arrays import Floats
from sdtrace.schema.trace import LENGTHS, Event
from sdtrace.stats.turns import SIDE, Turn, turns

#: Chance that an input in which nothing changed shows a change.
LEVEL = 1e-3
#: Series that are looked at, those with most windows first; points of one series that are looked at singly.
SERIES, POINTS = 32, 1000
#: Events of a kind that stand among the changes.
_EVENTS = 40
_BASES = ("interval", "request", "iteration", "counter", "lifetime", "gauge")
_OF_EVENT = {
    "error": "error",
    "died": "error",
    "version": "restart",
    "config": "configuration",
    "k": "configuration",
    "cache": "cache",
}


@dataclass(frozen=True)
class Change:
    """A row of `changes`. `last`: when the last window of the old level ended; `until`: the end of a slow change, which begins at
    `at`; `tokens`: drafted and accepted behind it, `tokens_before`: drafted since the change before it.

    `lasts`: no later change of the figure in its series. `path` and `line` are of the first window that is not as before.
    """

    what: str
    series: str
    at: float | None
    before: float | None
    after: float | None
    path: str
    line: int | None
    last: float | None = None
    until: float | None = None
    lasts: bool = True
    tokens: tuple[float, float] | None = None
    tokens_before: float | None = None
    says: str | None = None
    basis: str = "interval"  #: what a point of the series is
    named: str = ""  #: the series as its windows name it, without the engine
    few: bool = False  #: told from so few windows that other requests would explain it
    of_length: bool = False  #: of a configuration: it sets how long drafts are

    @property
    def slow(self) -> bool:
        """Whether it took several windows."""
        return self.until is not None

    @property
    def where(self) -> str:
        return self.path if self.line is None else f"{self.path}:{self.line}"

    def row(self) -> dict[str, Any]:
        """As the document has it."""
        named = {"what": self.what, "series": self.series, "at": self.at, "before": self.before, "after": self.after}
        return named | {"where": self.where, "until": self.until, "says": self.says}


#: figure -> least share of the larger level that matters
_LEAST = {
    "acceptance": 0.2,
    "tokens_per_step": 0.15,
    "step_time": 0.25,
    "throughput": 0.25,
    "load": 0.5,
    "draft_length": 0.1,
}


def changes(windows: pl.DataFrame, events: Sequence[Event]) -> list[Change]:
    """Every change, in order of time (of lines, where there is none); events of the engine among them."""
    rows = list(_figures(windows))
    level = LEVEL / max(len(rows), 1)
    found = [
        replace(change, named=named)
        for what, series, named, basis, part in rows
        for change in _turned(what, series, basis, part, level)
    ]
    if not any(change.what == "acceptance" for change in found):
        found += _pasted(windows)
    return sorted(
        [*found, *_anew(windows), *_told(events, windows)],
        key=lambda c: (c.at is None, c.at or 0.0, c.path, c.line or 0),
    )


def _figures(windows: pl.DataFrame) -> Iterator[tuple[str, str, str, str, pl.DataFrame]]:
    """(figure, series, the series as its windows name it, basis, its points: value, weight, at, path, line, drafted, accepted)."""
    telling = windows.filter(pl.col("basis").is_in(_BASES))
    server = pl.col("series").fill_null("").str.replace(r" ?slot \d+$", "")
    keyed = telling.with_columns(server=pl.when(pl.col("basis") == "request").then(server).otherwise("series"))
    keyed = one_name(keyed)
    keys = ["engine", "surface", "basis", "server"]
    sizes = keyed.group_by(keys, maintain_order=True).len().filter(pl.col("len") > 2 * SIDE)
    for *key, _ in sizes.sort("len", descending=True, maintain_order=True).head(SERIES).rows():
        known = zip(keys, key, strict=True)
        part = keyed.filter(pl.all_horizontal(pl.col(n).eq_missing(pl.lit(v, pl.String)) for n, v in known))
        engine, surface, basis, server_name = key
        if basis in ("counter", "lifetime"):
            part = increments(part)
        part = part.sort("at", "path", "line", nulls_last=True, maintain_order=True)
        name = " ".join(str(word) for word in (engine, server_name) if word)
        for figure, points in _of_series(part, windows, surface):
            if points.height > 2 * SIDE:
                yield figure, name, server_name or "", basis, points


def _of_series(part: pl.DataFrame, windows: pl.DataFrame, surface: str) -> Iterator[tuple[str, pl.DataFrame]]:
    one = pl.lit(1.0)
    accepted, drafted, drafts = pl.col("accepted"), pl.col("drafted"), pl.col("drafts")
    counted = part.filter((drafted > 0) & accepted.is_not_null())
    if counted.height > 2 * SIDE:
        yield "acceptance", _points(counted, accepted / drafted, drafted)
    else:
        rates = part.filter(pl.col("rate").is_not_null() & drafted.is_null())
        yield "acceptance", _points(rates, pl.col("rate"), one)
        stepped = part.filter((drafts > 0) & (accepted >= 0))  # TGI counts steps and what they accepted
        if stepped.height > 2 * SIDE:
            yield "tokens_per_step", _points(stepped, 1 + accepted / drafts, drafts)
        else:
            yield "tokens_per_step", _points(part.filter(pl.col("length").is_not_null()), pl.col("length"), one)
    lengths = part.filter((drafts > 0) & (drafted > 0))
    yield "draft_length", _points(lengths, drafted / drafts, drafts)
    timed = part.filter((drafts > 0) & (pl.col("busy_ms") > 0))
    yield "step_time", _points(timed, pl.col("busy_ms") / drafts, drafts)
    if timed.is_empty():
        loaded = with_load(part.filter((drafts > 0) & (pl.col("span_s") > 0)), windows, surface)
        yield "step_time", _points(loaded, 1000 * pl.col("span_s") * pl.col("load") / _steps(), drafts)
    speed = part.filter(pl.col("generation_tps") > 0)
    yield "throughput", _points(speed, pl.col("generation_tps"), one)
    yield "load", _points(part.filter(pl.col("running").is_not_null()), pl.col("running"), one)


def _steps() -> pl.Expr:
    """Steps of a window, those without a draft too: each emits one token more than it accepts. Where no speed is printed beside it, those
    that drafted."""
    emitted = pl.col("speed") * pl.col("span_s")
    return pl.max_horizontal("drafts", emitted - pl.col("accepted"))


def with_load(part: pl.DataFrame, windows: pl.DataFrame, surface: str) -> pl.DataFrame:
    """Windows with the running requests (`load`) and tokens per second (`speed`) that the line before them, of the same series, prints."""
    loads = windows.filter((pl.col("running") > 0) & (pl.col("surface") != surface) & pl.col("line").is_not_null())
    if part.is_empty() or loads.is_empty():
        return part.head(0).with_columns(load=pl.lit(None, pl.Float64), speed=pl.lit(None, pl.Float64))
    right = loads.select("path", "series", "line", load="running", speed="generation_tps").sort("line")
    joined = part.filter(pl.col("line").is_not_null()).sort("line")
    joined = joined.join_asof(right, on="line", by=["path", "series"], strategy="backward", check_sortedness=False)
    return joined.filter(pl.col("load").is_not_null()).sort("at", "line", nulls_last=True, maintain_order=True)


def _points(part: pl.DataFrame, value: pl.Expr, weight: pl.Expr) -> pl.DataFrame:
    return part.select("at", "path", "line", "drafted", "accepted", value=value, weight=weight).filter(
        pl.col("value").is_finite() & (pl.col("weight") > 0)
    )


def over_requests(table: pl.DataFrame) -> list[Change]:
    """Changes of acceptance over the requests of a trace, each of them a point. `table`: (first_at, first_path, first_line, drafted,
    accepted), one row a request; steps of one request err together, so that they are no points of their own."""
    known = table.filter((pl.col("drafted") > 0) & pl.col("first_at").is_not_null()).sort(
        "first_at", maintain_order=True
    )
    if known.height <= 2 * SIDE:
        return []
    part = known.rename({"first_at": "at", "first_path": "path", "first_line": "line"})
    points = _points(part, pl.col("accepted") / pl.col("drafted"), pl.col("drafted").cast(pl.Float64))
    return _turned("acceptance", "", "request", points, LEVEL)


def _turned(what: str, series: str, basis: str, part: pl.DataFrame, level: float) -> list[Change]:
    value, weight = part["value"].to_numpy(), part["weight"].to_numpy().astype(np.float64)
    counts = what == "acceptance" and bool((part["weight"] != 1.0).any())
    size = -(-len(value) // POINTS)
    if size > 1:
        edges = np.arange(0, len(value), size)
        heavy = np.add.reduceat(weight, edges)
        coarse = turns(np.add.reduceat(weight * value, edges) / heavy, heavy, level, counts=counts, least=_LEAST[what])
        found = [_refined(value, weight, turn, size) for turn in coarse]
    else:
        found = turns(value, weight, level, counts=counts, least=_LEAST[what])
    begins = [0, *(turn.first for turn in found)]
    ends = [*(turn.last for turn in found[1:]), len(value) - 1][: len(found)]
    rows = part.select("at", "path", "line", "drafted", "accepted").rows()
    return [
        _change(what, series, basis, rows, t, (begins[i], end), i == len(found) - 1)
        for i, (t, end) in enumerate(zip(found, ends, strict=True))
    ]


def _change(
    what: str,
    series: str,
    basis: str,
    rows: Sequence[tuple[Any, ...]],
    turn: Turn,
    levels: tuple[int, int],
    lasts: bool,
) -> Change:
    begin = turn.last if turn.slow else turn.first
    at, path, line, _, _ = rows[begin]
    ahead, behind = rows[levels[0] : turn.last + 1], rows[turn.first : levels[1] + 1]
    counted = what == "acceptance" and all(r[3] is not None for r in (*ahead, *behind))
    tokens = (sum(r[3] for r in behind), sum(r[4] or 0.0 for r in behind)) if counted else None
    before = sum(r[3] for r in ahead) if counted else None
    until = rows[turn.first][0] if turn.slow else None
    last = rows[turn.last][0]
    return Change(
        what, series, at, turn.before, turn.after, path, line, last, until, lasts, tokens, before, basis=basis
    )


def _pasted(windows: pl.DataFrame) -> list[Change]:
    """Acceptance before and after, where a paste holds a few windows of each."""
    made = []
    for ahead, behind in sides(windows):
        first, last = behind.row(0, named=True), ahead.row(-1, named=True)
        counted = behind["drafted"].null_count() == 0 and ahead["drafted"].null_count() == 0
        tokens = (float(behind["drafted"].sum()), float(behind["accepted"].sum())) if counted else None
        before = float(ahead["drafted"].sum()) if counted else None
        where = str(first["engine"]), first["at"], share(ahead), share(behind), str(first["path"]), first["line"]
        made.append(Change("acceptance", *where, last=last["at"], tokens=tokens, tokens_before=before, few=True))
    return made


def _refined(value: Floats, weight: Floats, turn: Turn, size: int) -> Turn:
    """A step that was found among sums of `size` points, put at the point that fits it best."""
    last, first = turn.last * size, min(turn.first * size, len(value) - 1)
    if turn.slow:
        return Turn(last, first, turn.before, turn.after, turn.chance)
    start, stop = max(first - size, 1), min(first + size, len(value) - 1)
    lean = weight[start - 1 : stop] * (value[start - 1 : stop] - (turn.before + turn.after) / 2)
    lean = np.cumsum(lean if turn.before > turn.after else -lean)
    first = start + int(np.argmax(lean))
    return Turn(first - 1, first, turn.before, turn.after, turn.chance)


def _anew(windows: pl.DataFrame) -> list[Change]:
    """Samples of counters in which the drafted total of a series fell: the process began anew."""
    mine = windows.filter(pl.col("basis").is_in(["counter", "lifetime"]) & pl.col("drafted").is_not_null())
    if mine.is_empty():
        return []
    ordered = placed(mine).sort("at", "line", nulls_last=True, maintain_order=True)
    before = pl.col("drafted").shift(1).over("engine", "surface", "series", "origin")
    fell = ordered.with_columns(before=before).filter(pl.col("drafted") < pl.col("before")).head(_EVENTS)
    rows = fell.select("engine", "series", "at", "path", "line", "before", "drafted").rows()
    says = "counters began anew"
    return [
        Change("restart", f"{engine} {series or ''}".strip(), at, before, after, path, line, says=says)
        for engine, series, at, path, line, before, after in rows
    ]


def _told(events: Sequence[Event], windows: pl.DataFrame) -> list[Change]:
    """Errors, starts behind the first or behind figures, and switches that an engine announces."""
    made: list[Change] = []
    first: dict[str, int] = dict(windows.drop_nulls("line").group_by("path").agg(pl.col("line").min()).rows())
    begun: set[tuple[str, str]] = set()
    for event in events:
        what = _OF_EVENT.get(event.kind)
        behind = event.line is not None and event.line > first.get(event.path, event.line)
        again = behind or (event.path, event.kind) in begun
        begun.add((event.path, event.kind))
        if what is None or (event.kind in ("version", "config") and not again):
            continue
        says = event.what if event.value is None else f"{event.what}: {event.value}"
        length = event.kind == "k" or any(name in event.settings for name in LENGTHS)
        made.append(
            Change(what, event.engine, event.at, None, None, event.path, event.line, says=says, of_length=length)
        )
    kinds: dict[str, int] = {}
    kept = []
    for change in made:
        kinds[change.what] = kinds.get(change.what, 0) + 1
        if kinds[change.what] <= _EVENTS:
            kept.append(change)
    return kept
