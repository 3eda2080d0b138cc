"""Acceptance that falls with a request's prompt, or with how much of it came from the prefix cache."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from sdtrace.counters.series import Tally, one_tally
from sdtrace.counters.sources import CounterSource
from sdtrace.diagnosis.by_series.spread import Ratio, ratio, tail
from sdtrace.results.words import Certainty
from sdtrace.stats.discovery import bh

#: Acceptance of the longest third over the shortest's: below it the drafter decays; between the two the tasks may differ.
DECAYS, FALLS = 0.5, 0.65
#: What is tested is "at least so much of the shortest third's".
NEARLY = 0.8
#: Requests of a third, steps of a third, and how many times longer the longest are.
REQUESTS, STEPS, LONGER = 10, 200, 4.0
LEVEL = 0.01

What = Literal["prompt tokens", "cached tokens"]


@dataclass(frozen=True)
class Decay:
    """Accepted of drafted in the shortest and the longest third of requests, by `what`; `ends`: the median of each."""

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
    """By engine what falls furthest, None where requests tell their lengths and nothing falls far enough."""
    axes: tuple[What, ...] = ("prompt tokens", "cached tokens")
    tried = [(source, what) for source in sources if source.basis == "request" for what in axes]
    made = [one for source, what in tried if (one := _thirds(windows, source, what)) is not None]
    sure = bh([p for _, p in made], LEVEL)
    told: dict[str, Decay | None] = dict.fromkeys(d.engine for d, _ in made)
    for (d, _), ok in zip(made, sure, strict=True):
        best = told[d.engine]
        if ok and d.share <= FALLS and (best is None or d.share < best.share):
            told[d.engine] = d
    return told


def _thirds(windows: pl.DataFrame, source: CounterSource, what: What) -> tuple[Decay, float] | None:
    mine = windows.filter(
        (pl.col("engine") == source.engine) & (pl.col("surface") == source.surface) & (pl.col("basis") == "request")
    )
    mine = mine.filter((pl.col("drafted") > 0) & pl.col("accepted").is_not_null() & pl.col("said").is_not_null())
    size = pl.col("said").str.extract(rf'"{what}":(\d+(?:\.\d+)?)').cast(pl.Float64, strict=False)
    rows = mine.with_columns(size=size).drop_nulls("size").sort("size", maintain_order=True)
    third = rows.height // 3
    if third < REQUESTS:
        return None
    parts = rows.head(third), rows.tail(third)
    ends = [float(part["size"].to_numpy()[third // 2]) for part in parts]
    if ends[1] < LONGER * max(ends[0], 1.0):
        return None
    tallies = [one_tally(source, part.drop("size")) for part in parts]
    short, long = (ratio(t, "drafted") for t in tallies)
    if short is None or long is None or min(short.steps, long.steps) < STEPS:
        return None
    variance = long.variance + NEARLY**2 * short.variance
    p = tail(long.value - NEARLY * short.value, variance, min(short.freedom, long.freedom))
    certainty: Certainty = "statistical" if long.value <= DECAYS * short.value else "suspected"
    return Decay(what, source.engine, short, long, (ends[0], ends[1]), tallies[1], certainty), p
