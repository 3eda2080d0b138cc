"""A running engine's /metrics over time: scrapes gathered as windows, and what they say of the last minutes.

Counters are read as differences by series; a counter that falls means that the engine was restarted, and what stands
then was counted since. An engine that does not answer is waited for.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.counters.sources import CounterSource, chosen, sources
from sdtrace.errors import NoInputError
from sdtrace.readers.guard import bears, reason
from sdtrace.readers.inputs import Input
from sdtrace.readers.metrics.prometheus import CUT, EXPECTED, scraped
from sdtrace.results.numbers import per_step
from sdtrace.schema.counters import from_rows, no_windows
from sdtrace.schema.trace import Loss, empty, other_lines
from sdtrace.tally.tally import Tally

#: Seconds that "now" and "before" cover, and a relative change that is worth a line.
NOW, BEFORE, MATTERS = 60.0, 600.0, 0.1
#: Scrapes that are kept: the oldest are thinned beyond that.
KEPT = 4_000
#: Seconds without an answer after which that is said, and series that are shown.
SILENT, SERIES = 5.0, 8

Fetch = Callable[[], str]


@dataclass
class Live:
    """What was scraped of `url`. `restarts` are the times at which a counter had fallen; `error` the last failure.
    `lines` of all scrapes: those that are `used`, those that were `cut`, and others."""

    url: str
    scrapes: list[pl.DataFrame] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    restarts: list[float] = field(default_factory=list)
    error: str | None = None
    lines: int = 0
    used: int = 0
    cut: int = 0
    history: list["Figures"] = field(
        default_factory=list
    )  #: what each scrape added to the one before it, beside `times`

    def take(self, text: str, at: float) -> None:
        """Add one scrape."""
        scrape = scraped(text, at)
        frame = from_rows(self.url, scrape.rows)
        self.lines, self.used, self.cut = self.lines + scrape.lines, self.used + scrape.used, self.cut + scrape.cut
        self.error = None if frame.height else "no metric of an engine that is known"
        if not frame.height:
            return
        if self.scrapes and _fell(self.scrapes[-1], frame):
            self.restarts.append(at)
        self.history.append(figures(pl.concat([*self.scrapes[-1:], frame])))
        self.scrapes.append(frame)
        self.times.append(at)
        if len(self.scrapes) > KEPT:  # every second of the older half; counters lose nothing by it
            half = KEPT // 2
            self.scrapes[:half], self.times[:half] = self.scrapes[:half:2], self.times[:half:2]
            self.history[:half] = self.history[:half:2]

    def windows(self, since: float | None = None) -> pl.DataFrame:
        """Windows from the last scrape before `since` on."""
        first = 0 if since is None else max([i for i, at in enumerate(self.times) if at <= since], default=0)
        return pl.concat(self.scrapes[first:]) if self.scrapes else no_windows()

    def audit(self) -> Audit:
        """All that was scraped, as an audit of counts."""
        windows = self.windows()
        engine = next(iter(windows["engine"].drop_nulls()), None)
        losses = (
            [Loss(self.url, None, CUT, self.cut, "see what stands between here and the engine")] if self.cut else []
        )
        if other := self.lines - self.used - self.cut:
            losses.append(other_lines(self.url, other, EXPECTED))
        read = Input(
            self.url, "prometheus", engine, self.lines, windows=windows.height, records=self.used, losses=losses
        )
        return Audit(Tally(), [read], {}, empty("request"), 0, windows)


@dataclass(frozen=True)
class Figures:
    """One stretch. `tokens_per_second` counts generated tokens; gauges are their last values; null where not told."""

    tokens_per_step: float | None
    rate: float | None
    by_position: list[float]
    tokens_per_second: float | None
    drafts: float | None
    running: float | None
    waiting: float | None
    kv_usage: float | None


def figures(windows: pl.DataFrame) -> Figures:
    """What these windows say together."""
    source = chosen(sources(windows))
    last = windows.filter(pl.col("at") == pl.col("at").max())
    return Figures(
        None if source is None else source.length,
        None if source is None else source.rate,
        _positions(source),
        _throughput(windows),
        None if source is None else source.counts["drafts"],
        _gauge(last, "running"),
        _gauge(last, "waiting"),
        _gauge(last, "kv_usage", most=True),
    )


def by_series(windows: pl.DataFrame) -> dict[str, Figures]:
    """The figures of each engine or rank, where there are several: by their labels, those that all share left out."""
    names = windows.filter(pl.col("basis") == "counter")["series"].drop_nulls().unique(maintain_order=True).to_list()
    if len(names) < 2:
        return {}
    common = set.intersection(*(set(name.split()) for name in names))
    parts = {name: windows.filter(pl.col("series") == name) for name in names[:SERIES]}
    return {" ".join(w for w in name.split() if w not in common) or name: figures(p) for name, p in parts.items()}


def _positions(source: CounterSource | None) -> list[float]:
    if source is None or not source.position_drafts:
        return []
    return [n / source.position_drafts for n in source.accepted_by_position]


def _throughput(windows: pl.DataFrame) -> float | None:
    counted = [s for s in sources(windows) if s.basis == "counter" and s.counts["emitted"] is not None]
    if not counted or counted[0].first_at is None or counted[0].last_at is None:
        return None
    span = counted[0].last_at - counted[0].first_at
    return (counted[0].counts["emitted"] or 0.0) / span if span > 0 else None


def _gauge(last: pl.DataFrame, name: str, *, most: bool = False) -> float | None:
    """The sum over engines and ranks, or the greatest of them."""
    values = last[name].drop_nulls().to_list()
    return None if not values else float(max(values) if most else sum(values))


def changes(now: Figures, before: Figures) -> list[str]:
    """What moved by more than a tenth between two stretches, in words."""
    told = []
    for name, said, form in (
        ("tokens_per_step", "tokens per drafting step", per_step),
        ("rate", "accepted of drafted", "{:.1%}".format),
        ("tokens_per_second", "tokens per second", "{:.1f}".format),
    ):
        new, old = getattr(now, name), getattr(before, name)
        if new is not None and old and abs(new / old - 1) >= MATTERS:
            way = "up" if new > old else "down"
            told.append(f"{said} {way} {abs(new / old - 1):.0%}, from {form(old)} to {form(new)}")
    return told


def patient(fetch: Fetch) -> Iterator[str | None]:
    """The answer at last; None whenever SILENT seconds have passed without one. What goes wrong with asking is raised here.

    The asking is left alone where nobody waits for it any more: it ends with its own time limit, or with the process.
    """
    answers: queue.SimpleQueue[str | BaseException] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(fetch())
        except BaseException as error:  # told where it is waited for
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    while True:
        try:
            answer = answers.get(timeout=SILENT)
        except queue.Empty:
            yield None
            continue
        if isinstance(answer, BaseException):
            raise answer
        yield answer
        return


def follow(
    live: Live,
    fetch: Fetch,
    every: float,
    until: float | None,
    *,
    once: bool = False,
    waiting: Callable[[Fetch], Iterator[str | None]] = patient,
) -> Iterator[Live]:
    """Scrape again and again (or `once`), and say so each time; an engine that does not answer is asked again, and one that is silent
    is said to be while it is waited for.

    Raises NoInputError where it never answered in `until` seconds, or where the first answer holds nothing known.
    """
    began = time.monotonic()
    while True:
        asked = time.monotonic()
        for _ in _scraped(live, waiting(fetch)):
            yield live
            if until is not None and time.monotonic() >= began + until:
                break
        else:
            yield live
        if once:
            break
        left = every - (time.monotonic() - asked)
        if until is not None:
            left = min(left, began + until - time.monotonic())
            if time.monotonic() >= began + until:
                break
        time.sleep(max(left, 0.0))
    demand(live)


def demand(live: Live) -> None:
    """Raises NoInputError where nothing was scraped."""
    if not live.scrapes:
        hint = "check the address; it is that of the engine's /metrics"
        raise NoInputError(f"{live.url}: {live.error or 'no answer'}", hint)


def _scraped(live: Live, answers: Iterator[str | None]) -> Iterator[None]:
    """Take the answer; gives a turn whenever it is still waited for. What goes wrong is kept as the trouble of the watch."""
    try:
        for number, answer in enumerate(answers, start=1):
            if answer is None:
                live.error = f"no answer for {number * SILENT:g} s"
                yield
            else:
                live.take(answer, time.time())
    except BaseException as error:
        if not bears(error):
            raise
        live.error = str(error) if isinstance(error, OSError) else reason(live.url, error)[0]


def _fell(old: pl.DataFrame, new: pl.DataFrame) -> bool:
    keys = ["engine", "series", "basis"]
    names = ["drafts", "drafted", "accepted", "emitted"]
    both = new.filter(pl.col("basis") == "counter").join(old, on=keys, suffix="_old")
    fell = [(pl.col(n) < pl.col(f"{n}_old")).fill_null(value=False).any() for n in names]
    return bool(both.select(pl.any_horizontal(fell)).item()) if both.height else False
