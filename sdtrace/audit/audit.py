"""From batches to one tally: requests are joined to their steps in whatever order a file holds them.

Steps whose request has not been seen yet wait, up to a bound: some recorders write the request line when the request
ends. Past the bound they are judged without it; if the line does turn up later, the pass is repeated with all known.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock
from typing import NamedTuple

import polars as pl

from sdtrace.audit.malloc import warm
from sdtrace.audit.opened import OpenInput
from sdtrace.audit.parts import Parts
from sdtrace.audit.request_lines import heads, within
from sdtrace.audit.seen_steps import RepeatedSteps, SeenSteps
from sdtrace.audit.workers import pulled
from sdtrace.counters.downsample import Folder, added
from sdtrace.readers.guard import bearing
from sdtrace.readers.inputs import Input, book, unbook
from sdtrace.responses.texts import Texts
from sdtrace.results.check import Check, Counts
from sdtrace.results.record import Record
from sdtrace.schema.counters import no_windows
from sdtrace.schema.keys import hashes_of, keyed
from sdtrace.schema.run import Run, runs_of
from sdtrace.schema.trace import Batch, Event, empty
from sdtrace.tally.measure import measure
from sdtrace.tally.ordered_merge import Gathered, Place, Tallied, in_process
from sdtrace.tally.tally import Tally
from sdtrace.tally.timings import timings
from sdtrace.verify.rulings import Rulings
from sdtrace.verify.scope import scopes

#: Steps that may wait for their request line.
WAITING = 131_072
#: Batches read and measured at a time, each with about 150 MB, hence at most eight: polars, numpy and Arrow let go of the
#: interpreter while they work. Results do not depend on it.
WORKERS = max(2, min(8, os.cpu_count() or 1))

Keep = Callable[[pl.DataFrame], pl.DataFrame]
Span = tuple[float | None, float | None]


@dataclass
class Audit:
    """The tally of all inputs, the run and request lines they held, what was read of each, and what windows say.

    `judged` holds what checks said of windows that have been folded since (`sdtrace.counters.downsample`).
    """

    tally: Tally
    inputs: list[Input]
    runs: dict[str, Run]
    requests: pl.DataFrame
    unknown_requests: int
    windows: pl.DataFrame = field(default_factory=no_windows)
    events: list[Event] = field(default_factory=list)
    judged: dict[str, Counts] = field(default_factory=dict)
    texts: Texts = field(default_factory=Texts)
    record: Record = field(default_factory=Record)  #: what the trial of it found
    repeated: pl.DataFrame | None = None  #: some of the steps whose key was taken, keyed, with `path`
    parts: pl.DataFrame | None = None  #: where requests begin and end in each of several inputs (`sdtrace.audit.parts`)


class _LateRequest(BaseException):
    """A request line came after its steps had been judged without it. No fault of an input."""


_KEYS = ["run_id", "request_id"]


def audit(
    sources: Sequence[OpenInput],
    checks: Sequence[Check],
    keep: Keep | None = None,
    rulings: Rulings | None = None,
    span: Span = (None, None),
    before: "Audit | None" = None,
    parts: Parts | None = None,
) -> Audit:
    """One pass over all sources; a second one if a file kept its request lines for the end.

    `keep` filters steps, joined with their request's columns; `rulings` amend run lines; `span` is the
    Unix time that windows are taken from; `before` has run lines from before these sources, and all known request lines; `parts`
    follows the requests of one source that is one of several.
    """
    if before is not None:
        known = heads([before.requests])
        return _pass(sources, _State(checks, keep, rulings or {}, span, known, True, dict(before.runs), parts=parts))
    try:
        return _pass(sources, _State(checks, keep, rulings or {}, span, heads([]), complete=False, parts=parts))
    except _LateRequest:
        known = heads(b.requests for source in sources for b in source.batches() if b.requests.height)
        again = None if parts is None else Parts()
        return _pass(sources, _State(checks, keep, rulings or {}, span, known, complete=True, parts=again))


def gathered(audits: Sequence[Audit], checks: Sequence[Check] = ()) -> tuple[pl.DataFrame, dict[str, Counts]]:
    """Windows of several audits as those of one, and what was judged of the ones that are folded."""
    folder = Folder(checks)
    for one in audits:
        folder.add(one.windows)
        for code, counts in one.judged.items():
            folder.judged[code] = added(folder.judged.get(code), counts)
    return folder.windows(), folder.judged


def heads_of(audits: Iterable["Audit"]) -> pl.DataFrame:
    """The request lines of several audits, of which the last of a request counts."""
    return heads(a.requests for a in audits).drop("hash")


@dataclass
class _State:
    """What a pass carries from batch to batch."""

    checks: Sequence[Check]
    keep: Keep | None
    rulings: Rulings
    span: Span
    known: pl.DataFrame
    complete: bool
    runs: dict[str, Run] = field(default_factory=dict)
    total: Gathered[Tally] = field(default_factory=in_process)
    open: dict[int, Tallied] = field(default_factory=dict)
    waiting: list[tuple[Place, pl.DataFrame]] = field(default_factory=list)
    adding: Lock = field(default_factory=Lock)  #: held by whoever changes `total` or `open`
    events: list[Event] = field(default_factory=list)
    judged_unknown: pl.DataFrame | None = None
    unknown: int = 0
    seen: SeenSteps | None = None
    repeated: RepeatedSteps = field(default_factory=RepeatedSteps)
    parts: Parts | None = None
    texts: Texts = field(default_factory=Texts)

    def __post_init__(self) -> None:
        for run_id, ruling in self.rulings.items():  # a run may have no line of its own
            self.runs.setdefault(run_id, Run(run_id=run_id, **ruling))
        self.windows = Folder(self.checks)


def _pass(sources: Sequence[OpenInput], state: _State) -> Audit:
    inputs: list[Input] = []
    if len(sources) > 1:
        state.seen, state.parts = SeenSteps(), Parts()
    warm()
    pulled(_jobs(sources, state, inputs), partial(_measured, state, inputs), WORKERS)
    known = state.runs, state.known.drop("hash"), state.unknown
    windows = state.windows.windows(), state.events, state.windows.judged
    parts = None if state.parts is None else state.parts.rows()
    return Audit(state.total.total(), inputs, *known, *windows, state.texts, repeated=state.repeated.rows, parts=parts)


class _Job(NamedTuple):
    """Steps that can be judged, with all that is known of them by now."""

    place: Place
    steps: pl.DataFrame
    requests: pl.DataFrame
    runs: dict[str, Run]


def _jobs(sources: Sequence[OpenInput], state: _State, inputs: list[Input]) -> Iterator[_Job]:
    for number, source in enumerate(sources):
        read = Input(source.path, source.format, source.engine, verified=source.verified)
        inputs.append(read)
        with state.adding:
            state.open[number] = Tallied()
        for batch in source.batches():
            with state.adding:
                book(read, batch)
            with bearing(partial(_lose, state, read, batch)):
                yield from _taken(state, number, read, batch)
        if state.seen is not None:
            state.seen.next_input()
        with state.adding:
            state.open[number].read = True
            _close(state, number)
    yield from _flush(state)


def _taken(state: _State, source: int, read: Input, batch: Batch) -> Iterator[_Job]:
    for run_id, run in runs_of(batch.runs).items():
        state.runs[run_id] = replace(run, **state.rulings.get(run_id, {}))
    state.events.extend(batch.events)
    if batch.windows is not None and batch.windows.height:
        state.windows.add(within(batch.windows, state.span))
    if batch.responses is not None and batch.responses.height:
        state.texts.add(batch.responses)
    if batch.requests.height and not state.complete:
        _learn(state, heads([batch.requests]))
    if batch.repeated is not None:
        state.repeated.add(keyed(batch.repeated), batch.path)
    if not batch.steps.height:
        return
    tallied = state.open[source]
    place = Place(source, tallied.batches, batch.path)
    tallied.batches += 1
    steps = keyed(batch.steps)
    if state.seen is not None:
        with state.adding:
            steps = state.seen.kept(steps, read, batch.path, state.repeated)
    if state.parts is not None:
        state.parts.add(steps, read.path)
    mine, missing = _requests_of(state, steps)
    if state.complete:
        state.unknown += _orphans(steps, missing)
    if state.complete or missing.is_empty():
        yield _Job(place, steps, mine, dict(state.runs))
        return
    state.waiting.append((place, steps))
    yield from _release(state)
    if sum(steps.height for _, steps in state.waiting) > WAITING:
        yield from _flush(state)


def _learn(state: _State, heads: pl.DataFrame) -> None:
    if state.judged_unknown is not None and heads.join(state.judged_unknown, on="hash", how="semi").height:
        raise _LateRequest
    again = state.known.join(heads, on="hash", how="semi")
    known = state.known.join(heads, on="hash", how="anti") if again.height else state.known
    state.known = pl.concat([known, heads])


def _requests_of(state: _State, steps: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The known requests that these steps belong to, and the keys of those that are not known."""
    wanted = hashes_of(steps)
    mine = state.known.join(wanted, on="hash", how="semi")
    if mine.height == wanted.height:
        return mine, wanted.clear()
    return mine, wanted.join(mine, on="hash", how="anti")


def _release(state: _State) -> Iterator[_Job]:
    """Whole waiting batches whose requests are all known by now, in order."""
    while state.waiting:
        place, steps = state.waiting[0]
        mine, missing = _requests_of(state, steps)
        if missing.height:
            return
        state.waiting.pop(0)
        yield _Job(place, steps, mine, dict(state.runs))


def _flush(state: _State) -> Iterator[_Job]:
    """What waits, request line or not; which requests that concerned is remembered."""
    for place, steps in state.waiting:
        mine, missing = _requests_of(state, steps)
        state.unknown += _orphans(steps, missing)
        seen = state.judged_unknown
        state.judged_unknown = missing if seen is None else pl.concat([seen, missing]).unique()
        yield _Job(place, steps, mine, dict(state.runs))
    state.waiting.clear()


def _orphans(steps: pl.DataFrame, missing: pl.DataFrame) -> int:
    """How many steps belong to requests that are not known."""
    return steps.select("hash").join(missing, on="hash", how="semi").height if missing.height else 0


def _lose(state: _State, read: Input, batch: Batch, error: BaseException) -> None:
    with state.adding:
        unbook(read, batch, error)


def _measured(state: _State, inputs: Sequence[Input], job: _Job) -> None:
    """The tallies of a job go where it stands in the input, so that the sum does not depend on which thread was faster."""
    tallies: list[Tally] = []
    steps = Batch(job.place.path, 0, empty("run"), empty("request"), job.steps)
    with bearing(partial(_lose, state, inputs[job.place.source], steps)):
        tallies = _tallies(job, state.keep, state.checks)
    with state.adding:
        tallied = state.open[job.place.source]
        tallied.tallies.put(job.place.batch, tallies)
        tallied.gathered += 1
        _close(state, job.place.source)


def _tallies(job: _Job, keep: Keep | None, checks: Sequence[Check]) -> list[Tally]:
    steps = job.steps
    if keep is not None:
        joined = steps.join(job.requests.drop(_KEYS), on="hash", how="left", maintain_order="left")
        steps = steps.filter(keep(joined).to_series())
    if not steps.height:
        return []
    mine = list(scopes(job.place.path, steps, job.requests, job.runs))
    return [*(measure(scope, checks) for scope in mine), timings(mine)]


def _close(state: _State, source: int) -> None:
    """An input that is read to its end and all of whose batches are judged is one tally from then on."""
    tallied = state.open[source]
    if tallied.read and tallied.gathered == tallied.batches:
        state.total.put(source, [state.open.pop(source).tallies.total()])
