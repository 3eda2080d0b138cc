"""Windows added up by source: one engine's one surface. Sources of one session overlap; they are compared, never added."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from sdtrace.counters.scrapes import placed, says
from sdtrace.counters.steps import Delivered, bounds, delivered_of, drafting, notes, over_all, whole

#: What is taken for the figures first: the closer to single decisions, the better.
_DEPTH = ("round", "request", "iteration", "interval", "run", "lifetime", "counter", "gauge")
_PLACE = ["series", "origin"]
#: What is said of counters that were sampled once.
LIFETIME = "one scrape: counts since the engine started"
_COUNTS = ("drafts", "steps", "drafted", "accepted", "emitted", "draft_ms", "busy_ms")


@dataclass(frozen=True)
class CounterSource:
    """What one surface of one engine says in all. Counts are None where no window has them.

    `length` (tokens per step that drafted) and `rate` (accepted of drafted) are ratios of sums where counts exist, and
    means of windows otherwise (`pooled` False).
    """

    engine: str
    surface: str
    basis: str
    families: list[str]
    paths: list[str]
    windows: int
    first_at: float | None
    last_at: float | None
    counts: dict[str, float | None]
    length: float | None
    rate: float | None
    pooled: bool
    k: float | None
    accepted_by_position: list[float] = field(default_factory=list)
    drafted_by_position: list[float] = field(default_factory=list)
    position_drafts: float | None = None
    lengths: list[float] = field(default_factory=list)
    requests: int = 0
    #: shares of drafting steps that accept each position, as printed, where nothing tells over how many steps
    shares: list[float] = field(default_factory=list)
    #: least and most steps that drafted, where they are not pinned down
    bounds: tuple[float, float] | None = None
    delivered: Delivered | None = None

    @property
    def name(self) -> str:
        """As a table names it."""
        return f"{self.engine} {self.surface}"


def sources(windows: pl.DataFrame) -> list[CounterSource]:
    """Every source of the windows, the best one for figures in front."""
    if windows.is_empty():
        return []
    found = [
        _source(str(engine), str(surface), str(basis), part)
        for (engine, surface, basis), part in windows.group_by("engine", "surface", "basis", maintain_order=True)
    ]
    return _without_replays(sorted(found, key=_rank))


def _without_replays(ranked: list[CounterSource]) -> list[CounterSource]:
    """llama.cpp on targets that cannot take tokens back drafts an accepted part again, and its statistics count that as accepted:
    of the same drafted tokens, the requests that accept fewer are right. Steps are those of the statistics where they tell none.
    """
    said = next((s for s in ranked if s.engine == "llama.cpp" and s.surface == "statistics"), None)
    one = next((s for s in ranked if s.engine == "llama.cpp" and s.surface == "request"), None)
    if said is None or one is None or ranked.index(said) > ranked.index(one):
        return ranked
    drafted, more, fewer = said.counts["drafted"], said.counts["accepted"], one.counts["accepted"]
    if not drafted or more is None or fewer is None or one.counts["drafted"] != drafted or fewer >= more:
        return ranked
    drafts = one.counts["drafts"] if one.counts["drafts"] is not None else said.counts["drafts"]
    length = one.length if one.length is not None or not drafts else 1 + fewer / drafts
    right = replace(one, counts=one.counts | {"drafts": drafts}, length=length, pooled=True)
    rest = [s for s in ranked if s is not one]
    return [*rest[: rest.index(said)], right, *rest[rest.index(said) :]]


def _rank(source: CounterSource) -> tuple[Any, ...]:
    """Counts before means, shallower bases later, more drafted tokens first."""
    counted = source.counts["drafted"] is not None and source.counts["accepted"] is not None
    steps = source.counts["drafts"] is not None
    figure = source.length is not None or source.rate is not None
    told = not figure, not (counted or steps)
    return *told, not steps, _DEPTH.index(source.basis), -(source.counts["drafted"] or 0.0)


def _source(engine: str, surface: str, basis: str, part: pl.DataFrame) -> CounterSource:
    added = increments(part) if basis in ("lifetime", "counter") else with_least(part)
    counts = {name: _total(added[name]) for name in _COUNTS}
    counts["drafts"] = whole(added, "drafts")
    drafted = added.filter(pl.col("drafts").is_not_null() & pl.col("accepted").is_not_null())
    tried = added.filter(pl.col("drafted").is_not_null() & pl.col("accepted").is_not_null())
    length = _ratio(_sum(drafted["accepted"]) + _sum(drafted["drafts"]), _sum(drafted["drafts"]))
    rate = _ratio(_sum(tried["accepted"]), _sum(tried["drafted"]))
    delivered = delivered_of(drafted, basis)
    if delivered is not None and delivered.beyond:
        length = delivered.length
    pooled = length is not None
    if length is None and counts["drafts"] is None:  # every step is told, those that drafted are not
        length = over_all(added)
        pooled = length is not None
    if length is None and counts["drafts"] is None and counts["accepted"] is None:  # plain decoding
        length = _ratio(counts["emitted"] or 0.0, counts["steps"] or 0.0) or None
        pooled = length is not None
    if length is None:
        length = _mean(part.filter(drafting()), "length")
    if length is None and engine == "sglang" and basis == "counter":  # verifications of requests that ended
        length = _ratio(counts["emitted"] or 0.0, counts["drafts"] or 0.0)
        pooled = length is not None
    if rate is None:
        rate = _mean(part.filter(drafting()), "rate")
    listed = added.filter(pl.col("accepted_by_position").is_not_null() & pl.col("drafts").is_not_null())
    by_request = drafted.filter(pl.col("drafts") > 0) if basis == "request" else drafted.clear()
    at = part["at"].drop_nulls()
    return CounterSource(
        engine,
        surface,
        basis,
        [*_families(part, added), *notes(added, drafted, delivered)],
        part["path"].unique(maintain_order=True).to_list(),
        int(part["merged"].fill_null(1).sum()),
        _scalar(at.min()),
        _scalar(at.max()),
        counts,
        length,
        rate,
        pooled,
        _scalar(part["k"].max()),
        _by_position(listed["accepted_by_position"]),
        _by_position(added["drafted_by_position"].drop_nulls()),
        _total(listed["drafts"]),
        (1 + by_request["accepted"] / by_request["drafts"]).to_list(),
        int(part["merged"].fill_null(1).sum()) if basis == "request" else 0,
        _shares(part) if listed.is_empty() else [],
        bounds(added),
        delivered,
    )


def _shares(part: pl.DataFrame) -> list[float]:
    """Mean of the printed shares by position; [] where a window prints another number of them than the rest."""
    printed = part["said_positions"].drop_nulls()
    lengths = printed.list.len()
    if printed.is_empty() or lengths.min() != lengths.max():
        return []
    return [float(sum(column)) / len(printed) for column in zip(*printed.to_list(), strict=True)]


def with_least(part: pl.DataFrame) -> pl.DataFrame:
    """Steps of windows that accepted nothing, where they were not printed: at least drafted / k.

    A printed mean of 1.00 does not tell over how many steps. Leaving such windows out would raise the mean of the rest.
    Where no k is told, the longest draft on average of a request that counts its steps stands for it; intervals are added up with
    their neighbours where there are many, and which of them accepted nothing is not known then.
    """
    counted = (pl.col("drafts") > 0) & (pl.col("drafted") > 0) & (pl.col("accepted") >= 0)
    longest = (pl.col("drafted") / pl.col("drafts")).filter(counted).max().ceil()
    k = pl.coalesce("k", pl.when(pl.col("basis") == "request").then(longest.cast(pl.Float64)))
    nothing = pl.col("drafts").is_null() & (pl.col("accepted") == 0) & (pl.col("drafted") > 0) & (k > 0)
    least = (pl.col("drafted") / k).ceil()
    return part.with_columns(drafts=pl.when(nothing).then(least).otherwise("drafts"))


def _families(part: pl.DataFrame, added: pl.DataFrame) -> list[str]:
    """What the words of these windows mean, and what was assumed about them."""
    told = part["family"].drop_nulls().unique(maintain_order=True).to_list()[:4]
    running = part["basis"][0] in ("lifetime", "counter")
    assumed = int(not running and added["drafts"].count() > part["drafts"].count())
    lone = part["basis"][0] == "counter" and part.height == part["series"].n_unique()
    told += [LIFETIME] * int(lone) + says(part)
    return told + ["steps of windows that accepted nothing: at least drafted / k"] * assumed


def _scalar(value: Any) -> float | None:
    return None if value is None else float(value)


def _total(column: pl.Series) -> float | None:
    return None if column.null_count() == len(column) else float(column.sum())


def _sum(column: pl.Series) -> float:
    return float(column.sum())


def _mean(part: pl.DataFrame, name: str) -> float | None:
    """Plain mean of windows; one that was folded counts as often as windows are in it."""
    known = part.filter(pl.col(name).is_not_null()).select(name, weight=pl.col("merged").fill_null(1))
    return _ratio(_sum(known[name] * known["weight"]), _sum(known["weight"]))


def _ratio(above: float, below: float) -> float | None:
    return above / below if below else None


def _by_position(lists: pl.Series) -> list[float]:
    totals: list[float] = []
    for values in lists.to_list():
        totals += [0.0] * (len(values) - len(totals))
        for j, value in enumerate(values):
            totals[j] += value or 0.0
    return totals


def increments(part: pl.DataFrame) -> pl.DataFrame:
    """Running totals as what was added, by series, in order of time.

    A total that falls is a restart: what stands then was added since. The first sample of several counter samples is
    where counting begins (a counter that was not there yet stood at 0); a lone sample, and a total printed by the
    process itself, count from its start.
    """
    ordered = placed(part).with_row_index("row").sort(*_PLACE, "at", "row", nulls_last=True)
    columns = []
    for name in ("drafts", "steps", "drafted", "accepted", "emitted", "draft_ms"):
        value = pl.col(name)
        filled = value.forward_fill().over(_PLACE).fill_null(0.0)
        before = filled.shift(1).over(_PLACE)
        many = (pl.col("basis") == "counter") & (pl.len().over(_PLACE) > 1)
        base = pl.when(many & (pl.int_range(pl.len()).over(_PLACE) == 0)).then(filled).otherwise(0.0)
        last = pl.coalesce(before, base)
        added = pl.when(filled >= last).then(filled - last).otherwise(filled)
        # two totals fall together in a restart, one alone does not: a counter of its own is believed
        columns.append(pl.when(value.is_not_null().any().over(_PLACE)).then(added).alias(name))
    positions = _position_increments(ordered)
    return ordered.with_columns(
        *columns, accepted_by_position=positions, drafted_by_position=pl.lit(None, pl.List(pl.Float64))
    )


def _position_increments(ordered: pl.DataFrame) -> pl.Series:
    before: dict[tuple[str, str], list[float] | None] = {}
    many = {(series, at): n > 1 for series, at, n in ordered.group_by(_PLACE).len().rows()}
    made: list[list[float] | None] = []
    for series, at, basis, values in ordered.select(*_PLACE, "basis", "accepted_by_position").iter_rows():
        key = (series, at)
        last = before.get(key)
        if values is None:
            made.append(None)
            before.setdefault(key, [])
            continue
        if last is None and basis == "counter" and many[key]:
            made.append([0.0] * len(values))
        else:
            old = [*(last or []), *([0.0] * len(values))][: len(values)]
            fell = any(v < o for v, o in zip(values, old, strict=True))
            made.append(list(values) if fell else [v - o for v, o in zip(values, old, strict=True)])
        before[key] = values
    return pl.Series(made, dtype=pl.List(pl.Float64))


def chosen(sources: Sequence[CounterSource]) -> CounterSource | None:
    """The source that the figures are taken from: of the engine with most drafted tokens, its best surface."""
    telling = [s for s in sources if s.length is not None or s.rate is not None]
    if not telling:
        return None
    weight: dict[str, float] = {}
    for source in telling:
        weight[source.engine] = max(weight.get(source.engine, 0.0), source.counts["drafted"] or 0.0)
    engine = max(weight, key=lambda name: weight[name])
    return _with_steps(next(s for s in telling if s.engine == engine), sources)


def _with_steps(source: CounterSource, sources: Sequence[CounterSource]) -> CounterSource:
    """All steps, those without a draft too, from another source of the engine that counts the same drafting steps."""
    drafts = source.counts["drafts"]
    if source.counts["steps"] is not None or not drafts:
        return source
    for other in sources:
        steps, same = other.counts["steps"], other.counts["drafts"]
        if (
            other.engine == source.engine
            and steps
            and same
            and abs(same - drafts) <= 0.005 * drafts
            and steps >= drafts
        ):
            return replace(source, counts=source.counts | {"steps": steps})
    return source
