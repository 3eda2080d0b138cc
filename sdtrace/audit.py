"""From batches to one tally: requests are joined to their steps in whatever order a file holds them.

Steps whose request has not been seen yet wait, up to a bound; a recorder that writes the request line when the request
ends is served by that. Past the bound they are judged without it. If the line does turn up later, the pass is repeated
with all request lines known from the start.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import polars as pl

from sdtrace.finding import Check, Counts
from sdtrace.folding import Folder
from sdtrace.measure import measure
from sdtrace.scope import REQUEST_COLUMNS, keyed, scopes
from sdtrace.tally import Tally, merge
from sdtrace.timings import timings
from sdtrace.trace import OTHER, Batch, Event, Loss, Notice, empty
from sdtrace.windows import no_windows

#: Steps that may wait for their request line.
WAITING = 131_072
#: Tallies are added up whenever this many have gathered.
GATHER = 8
#: Batches measured at a time; polars and numpy let go of the interpreter while they work.
WORKERS = 2

Keep = Callable[[pl.DataFrame], pl.DataFrame]
Span = tuple[float | None, float | None]


class Source(Protocol):
    """What the audit asks of an opened input."""

    @property
    def path(self) -> str:
        """As the user named it."""

    @property
    def format(self) -> str:
        """The reader that claims it."""

    @property
    def engine(self) -> str | None:
        """Which engine wrote it, where the format tells."""

    def batches(self) -> Iterator[Batch]:
        """The input from its beginning."""


@dataclass
class Input:
    """What one input held: lines, records by table, and what became of the rest."""

    path: str
    format: str
    engine: str | None
    lines: int = 0
    runs: int = 0
    requests: int = 0
    steps: int = 0
    windows: int = 0
    records: int = 0
    losses: list[Loss] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


@dataclass
class Audit:
    """The tally of all inputs, the run and request lines they held, what was read of each, and what windows say.

    `judged` holds what checks said of windows that have been folded since (`sdtrace.folding`).
    """

    tally: Tally
    inputs: list[Input]
    runs: dict[str, dict[str, Any]]
    requests: pl.DataFrame
    unknown_requests: int
    windows: pl.DataFrame = field(default_factory=no_windows)
    events: list[Event] = field(default_factory=list)
    judged: dict[str, Counts] = field(default_factory=dict)


class _LateRequest(Exception):
    """A request line came after its steps had been judged without it."""


_KEYS = ["run_id", "request_id"]
_HEAD = (*_KEYS, *REQUEST_COLUMNS, "arrived_at", "first_token_at", "finished_at", "cached_tokens")


def audit(
    sources: Sequence[Source],
    checks: Sequence[Check],
    keep: Keep | None = None,
    rules: Mapping[str, str] | None = None,
    span: Span = (None, None),
) -> Audit:
    """One pass over all sources; a second one if a file kept its request lines for the end.

    `keep` filters steps (a time window, a slice); it sees steps joined with their request's columns. `rules` replaces
    the declared law of a run (run_id -> law). `span` is the stretch of Unix time that windows are taken from.
    """
    try:
        return _pass(sources, _State(checks, keep, rules or {}, span, _heads([]), complete=False))
    except _LateRequest:
        return _pass(sources, _State(checks, keep, rules or {}, span, _all_requests(sources), complete=True))


def _all_requests(sources: Sequence[Source]) -> pl.DataFrame:
    return _heads(b.requests for source in sources for b in source.batches() if b.requests.height)


def _heads(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    found = [f.select(_HEAD) for f in frames]
    table = keyed(pl.concat(found) if found else empty("request").select(_HEAD))
    return table.unique("hash", keep="last", maintain_order=True)


@dataclass
class _State:
    """What a pass carries from batch to batch."""

    checks: Sequence[Check]
    keep: Keep | None
    rules: Mapping[str, str]
    span: Span
    known: pl.DataFrame
    complete: bool
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    heads: list[pl.DataFrame] = field(default_factory=list)
    tallies: list[Tally] = field(default_factory=list)
    waiting: list[tuple[str, pl.DataFrame]] = field(default_factory=list)
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(WORKERS))
    pending: list[Future[list[Tally]]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    judged_unknown: pl.DataFrame | None = None
    unknown: int = 0

    def __post_init__(self) -> None:
        self.windows = Folder(self.checks)


def _pass(sources: Sequence[Source], state: _State) -> Audit:
    inputs = []
    with state.pool:
        for source in sources:
            read = Input(source.path, source.format, source.engine)
            inputs.append(read)
            for batch in source.batches():
                _book(read, batch)
                _take(state, batch)
        _flush(state)
        for done in state.pending:
            _gather(state, done)
    known = state.runs, state.known.drop("hash"), state.unknown
    return Audit(merge(state.tallies), inputs, *known, state.windows.windows(), state.events, state.windows.judged)


def _book(read: Input, batch: Batch) -> None:
    read.lines += batch.lines
    read.runs += batch.runs.height
    read.requests += batch.requests.height
    read.steps += batch.steps.height
    read.windows += 0 if batch.windows is None else batch.windows.height
    read.records += batch.records
    for loss in batch.losses:
        _lose(read.losses, loss)
    read.notices.extend(batch.notices)


def _lose(losses: list[Loss], loss: Loss) -> None:
    """Lines about other things come once a batch; they are told once an input."""
    same = [i for i, x in enumerate(losses[-2:], max(len(losses) - 2, 0)) if loss.what == OTHER == x.what]
    if same:
        losses[same[0]] = replace(loss, count=loss.count + losses[same[0]].count)
    else:
        losses.append(loss)


def _take(state: _State, batch: Batch) -> None:
    for run in batch.runs.iter_rows(named=True):
        state.runs[run["run_id"]] = run | {"rule": state.rules.get(run["run_id"], run["rule"])}
    state.events.extend(batch.events)
    if batch.windows is not None and batch.windows.height:
        state.windows.add(_within(batch.windows, state.span))
    if batch.requests.height and not state.complete:
        _learn(state, _heads([batch.requests]))
    if not batch.steps.height:
        return
    steps = keyed(batch.steps)
    mine, missing = _requests_of(state, steps)
    if state.complete or missing.is_empty():
        _judge(state, batch.path, steps, mine)
        return
    state.waiting.append((batch.path, steps))
    _release(state)
    if sum(steps.height for _, steps in state.waiting) > WAITING:
        _flush(state)


def _within(windows: pl.DataFrame, span: Span) -> pl.DataFrame:
    """Windows of a stretch of time; those without a time are left out by one, as steps are."""
    since, until = span
    if since is not None:
        windows = windows.filter(pl.col("at") >= since)
    return windows if until is None else windows.filter(pl.col("at") <= until)


def _learn(state: _State, heads: pl.DataFrame) -> None:
    if state.judged_unknown is not None and heads.join(state.judged_unknown, on="hash", how="semi").height:
        raise _LateRequest
    again = state.known.join(heads, on="hash", how="semi")
    known = state.known.join(heads, on="hash", how="anti") if again.height else state.known
    state.known = pl.concat([known, heads])


def _requests_of(state: _State, steps: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The known requests that these steps belong to, and the keys of those that are not known."""
    wanted = steps.select("hash").unique()
    mine = state.known.join(wanted, on="hash", how="semi")
    if mine.height == wanted.height:
        return mine, wanted.clear()
    return mine, wanted.join(mine, on="hash", how="anti")


def _release(state: _State) -> None:
    """Judge whole waiting batches whose requests are all known by now, in order."""
    while state.waiting:
        path, steps = state.waiting[0]
        mine, missing = _requests_of(state, steps)
        if missing.height:
            return
        state.waiting.pop(0)
        _judge(state, path, steps, mine)


def _flush(state: _State) -> None:
    """Judge what waits, request line or not, and remember which requests that concerned."""
    for path, steps in state.waiting:
        mine, missing = _requests_of(state, steps)
        state.unknown += steps.select("hash").join(missing, on="hash", how="semi").height
        seen = state.judged_unknown
        state.judged_unknown = missing if seen is None else pl.concat([seen, missing]).unique()
        _judge(state, path, steps, mine)
    state.waiting.clear()


def _judge(state: _State, path: str, steps: pl.DataFrame, requests: pl.DataFrame) -> None:
    if state.keep is not None:
        joined = steps.join(requests.drop(_KEYS), on="hash", how="left", maintain_order="left")
        steps = steps.filter(state.keep(joined).to_series())
    if not steps.height:
        return
    state.pending.append(state.pool.submit(_measured, path, steps, requests, dict(state.runs), state.checks))
    if len(state.pending) > WORKERS:
        _gather(state, state.pending.pop(0))


def _gather(state: _State, done: Future[list[Tally]]) -> None:
    """Results come in the order of the input, so that the sum does not depend on which thread was faster."""
    state.tallies.extend(done.result())
    if len(state.tallies) >= GATHER:
        state.tallies = [merge(state.tallies)]


def _measured(
    path: str, steps: pl.DataFrame, requests: pl.DataFrame, runs: dict[str, dict[str, Any]], checks: Sequence[Check]
) -> list[Tally]:
    mine = list(scopes(path, steps, requests, runs))
    return [*(measure(scope, checks) for scope in mine), timings(mine)]
