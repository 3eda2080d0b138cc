"""Acceptance that falls with a request's prompt, with how much of it came from the prefix cache, with the context that running
requests hold, or with how many of them run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import polars as pl

from sdtrace.counters.changes import with_load
from sdtrace.counters.series import Tally, added, one_tally
from sdtrace.counters.sources import CounterSource
from sdtrace.diagnosis.by_series.spread import Ratio, ratio, tail
from sdtrace.results.words import Certainty
from sdtrace.stats.discovery import bh

#: Acceptance of the longest third over the shortest's: below it the drafter decays; between the two the tasks may differ.
DECAYS, FALLS = 0.5, 0.65
#: What is tested is "at least so much of the shortest third's".
NEARLY = 0.8
#: Requests (or windows) of a third, steps of a third, and how many times longer the longest are.
REQUESTS, STEPS, LONGER = 10, 200, 4.0
LEVEL = 0.01
#: How often load goes from one third to the other, at least: what happened once may have happened for another reason.
TURNS = 3
#: Draft lengths that differ by more than this share make another acceptance lawful.
LENGTHS = 0.25

What = Literal["prompt tokens", "cached tokens", "context tokens", "running requests"]
_BY_REQUEST: tuple[What, ...] = ("prompt tokens", "cached tokens")
_BY_WINDOW: tuple[What, ...] = ("context tokens", "running requests")


@dataclass(frozen=True)
class Decay:
    """Accepted of drafted (a step, where drafted tokens are not counted) in the shortest and the longest third of requests or windows,
    by `what`; `ends`: the median of each."""

    what: What
    engine: str
    short: Ratio
    long: Ratio
    ends: tuple[float, float]
    longest: Tally
    certainty: Certainty

    @property
    def share(self) -> float:
        """The longest third's acceptance over the shortest's."""
        return self.long.value / self.short.value if self.short.value else 1.0


def decays(windows: pl.DataFrame, sources: Sequence[CounterSource]) -> dict[str, Decay | None]:
    """By engine what falls furthest, None where lengths or loads are told and nothing falls far enough."""
    tried = [
        (source, what) for source in sources for what in (_BY_REQUEST if source.basis == "request" else _BY_WINDOW)
    ]
    made = [one for source, what in tried if (one := _thirds(windows, source, what)) is not None]
    sure = bh([p for _, p in made], LEVEL)
    told: dict[str, Decay | None] = dict.fromkeys(d.engine for d, _ in made)
    for (d, _), ok in zip(made, sure, strict=True):
        best = told[d.engine]
        if ok and d.share <= FALLS and (best is None or d.share < best.share):
            told[d.engine] = d
    return told


def _thirds(windows: pl.DataFrame, source: CounterSource, what: What) -> tuple[Decay, float] | None:
    rows = _sized(windows, source, what)
    third = rows.height // 3
    if third < REQUESTS:
        return None
    rows = rows.with_row_index("order").sort("size", maintain_order=True)
    parts = rows.head(third), rows.tail(third)
    ends = [float(part["size"].to_numpy()[third // 2]) for part in parts]
    if ends[1] < LONGER * max(ends[0], 1.0):
        return None
    turns = _turns(*(part["order"].to_list() for part in parts))
    if what == "running requests" and turns < TURNS:
        return None
    short_tally, long_tally = (one_tally(source, part.drop("size", "order")) for part in parts)
    if not _alike(short_tally, long_tally):
        return None
    below = "drafts" if short_tally.total("drafted") is None else "drafted"
    short, long = (ratio(t, below) for t in (short_tally, long_tally))
    if short is None or long is None or min(short.steps, long.steps) < STEPS:
        return None
    variance = long.variance + NEARLY**2 * short.variance
    p = tail(long.value - NEARLY * short.value, variance, min(short.freedom, long.freedom))
    sure = long.value <= DECAYS * short.value and (what != "context tokens" or turns >= TURNS)
    certainty: Certainty = "statistical" if sure else "suspected"
    return Decay(what, source.engine, short, long, (ends[0], ends[1]), long_tally, certainty), p


def _sized(windows: pl.DataFrame, source: CounterSource, what: What) -> pl.DataFrame:
    """What the windows of a source added, in order of time, each with its size."""
    mine = windows.filter(
        (pl.col("engine") == source.engine) & (pl.col("surface") == source.surface) & (pl.col("basis") == source.basis)
    )
    said = pl.col("said").str.extract(rf'"{what}":"?(\d+(?:\.\d+)?)').cast(pl.Float64, strict=False)
    if what in _BY_REQUEST:
        mine = mine.filter((pl.col("drafted") > 0) & pl.col("accepted").is_not_null() & pl.col("said").is_not_null())
        return added(mine.with_columns(size=said), source).drop_nulls("size")
    if source.basis not in ("interval", "gauge"):
        return mine.head(0)
    if mine["running"].null_count() == mine.height:
        mine = with_load(mine, windows, source.surface).with_columns(running=pl.col("load")).drop("load", "speed")
    mine = mine.filter(pl.col("running") > 0)
    tokens = pl.col("said").str.extract(r'"#(?:full )?token":"?(\d+)').cast(pl.Float64, strict=False)
    size = pl.col("running") if what == "running requests" else tokens / pl.col("running")
    return added(mine.with_columns(size=size), source).drop_nulls("size")


def _turns(low: Sequence[int], high: Sequence[int]) -> int:
    """How often the rows go from one third to the other, in order of time."""
    sides = [side for _, side in sorted([*((n, 0) for n in low), *((n, 1) for n in high)])]
    return sum(a != b for a, b in pairwise(sides))


def _alike(one: Tally, other: Tally) -> bool:
    """Whether both draft the same number of tokens a step, where that is told."""
    lengths = []
    for t in (one, other):
        drafted, drafts = t.total("drafted"), t.total("drafts")
        if drafted is None or not drafts:
            return True
        lengths.append(drafted / drafts)
    return abs(lengths[0] - lengths[1]) <= LENGTHS * max(lengths)
