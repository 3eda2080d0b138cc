"""One tally of counts per series: engine, rank, pod, replica, slot, drafter, model or adapter, beside the one of all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from sdtrace.counters.figures import plain
from sdtrace.counters.places import ALIKE, BYS, By, named
from sdtrace.counters.sources import CounterSource, increments
from sdtrace.counters.steps import drafting

#: Clusters of one series: neighbours are added up beyond it, which only makes a test more careful.
CLUSTERS = 200
#: Draft length that is assumed where none is told: drafted / 8 steps are the fewest of nearly every drafter; llama.cpp's default is 16.
LENGTH, LENGTHS = 8, {"llama.cpp": 16}
#: Series of one kind beyond which they are no places but names of something else.
SERIES = 512

_RUNNING = ("lifetime", "counter")
_SUMS = ("drafts", "drafted", "accepted", "least")
_KIN = frozenset(f"by {by}" for by in BYS if by not in ALIKE)


@dataclass(frozen=True)
class Tally:
    """Counts of one series, or of a whole source (`by` "all").

    `place` is its own name, `within` the wider places around it as labels, nearest first; of a whole it is the engine, where there are
    several. `parts` holds a row a cluster (a window, a request, or some neighbours of them) in order of time: drafts, drafted, accepted,
    least (steps that drafted, at least, where they are not counted), first (steps whose first drafted token was accepted, at most),
    positions (steps that accepted position j). `kin`: its models, adapters, drafters and configurations: only series of the same are
    siblings. `counted` is False where steps follow from printed throughput and means.
    """

    by: By | Literal["all"]
    place: str
    within: tuple[str, ...]
    engine: str
    surface: str
    parts: pl.DataFrame
    path: str
    line: int | None
    kin: frozenset[str]
    counted: bool

    @property
    def name(self) -> str:
        """With the places around it: `2 of pod a`."""
        return " of ".join([self.place, *self.within])

    def inside(self, other: "Tally") -> bool:
        """Whether the other one is a wider place around this one."""
        around = (f"{other.by} {other.place}", *other.within)
        return other.by != "all" and self.within[-len(around) :] == around

    def total(self, name: str) -> float | None:
        """The sum of a column; None where it holds no value."""
        column = self.parts[name]
        return None if column.null_count() == len(column) else float(column.sum())

    @property
    def length(self) -> float | None:
        """Tokens per step that drafted, bonus counted."""
        told = self.parts.filter(pl.col("drafts").is_not_null() & pl.col("accepted").is_not_null())
        drafts = float(told["drafts"].sum())
        return 1 + float(told["accepted"].sum()) / drafts if drafts else None

    @property
    def steps(self) -> float:
        """Steps that drafted, at least."""
        return float(self.parts["least"].sum())

    @property
    def label(self) -> str:
        """As a sentence names it: of a whole, the engine where there are several."""
        return f"{self.by} {self.name}" if self.by != "all" else self.name


def tallies(
    windows: pl.DataFrame, sources: Sequence[CounterSource], configured: Mapping[str, str]
) -> list[tuple[Tally, list[Tally]]]:
    """(all, its series) of the best source of every engine that tells how much was accepted. `configured`: by path, what it says."""
    made = []
    best = _best(sources)
    for source in best:
        rows = _rows(windows, source).filter(drafting())
        rows = rows.with_columns(
            configured=pl.col("path").replace_strict(dict(configured), default="", return_dtype=pl.String)
        )
        if rows.is_empty():
            continue
        name = source.engine if len(best) > 1 else ""
        made.append((_tally("all", name, (), source, rows), _by_place(rows, source)))
    return made


def _best(sources: Sequence[CounterSource]) -> list[CounterSource]:
    best: dict[str, CounterSource] = {}
    for s in sources:
        counted = s.counts["drafted"] is not None or s.counts["drafts"] is not None
        if counted and s.counts["accepted"] is not None:
            best.setdefault(s.engine, s)
    for s in sources:
        if s.length is not None and not plain(s):
            best.setdefault(s.engine, s)
    return list(best.values())


def added(windows: pl.DataFrame, source: CounterSource) -> pl.DataFrame:
    """Windows of a source, in order of time, as what each of them added; other columns stay."""
    return _added(windows, source)


def one_tally(source: CounterSource, rows: pl.DataFrame) -> Tally:
    """The tally of some rows of `added`."""
    return _tally("all", "", (), source, rows)


def _rows(windows: pl.DataFrame, source: CounterSource) -> pl.DataFrame:
    """Windows of the source as what each of them added, with what they are clusters of."""
    mine = windows.filter(
        (pl.col("engine") == source.engine) & (pl.col("surface") == source.surface) & (pl.col("basis") == source.basis)
    )
    return _added(mine, source)


def _added(mine: pl.DataFrame, source: CounterSource) -> pl.DataFrame:
    rows = increments(mine) if source.basis in _RUNNING else mine
    if source.counts["accepted"] is None:
        rows = _from_means(rows)
    k = pl.coalesce(pl.col("k"), pl.lit(LENGTHS.get(source.engine, LENGTH))).clip(1)
    rows = rows.with_columns(least=pl.coalesce("drafts", (pl.col("drafted") / k).ceil()))
    return rows.filter((pl.col("least") > 0) & (pl.col("accepted") >= 0) & (pl.col("accepted") < 2.0**53))


def _from_means(rows: pl.DataFrame) -> pl.DataFrame:
    """Steps of windows that print means: tokens, counted or throughput x time since the line before, over tokens a step."""
    gap = (pl.col("at") - pl.col("at").shift(1).over("path", "series")).clip(0, 120)
    tokens = pl.coalesce("emitted", pl.col("generation_tps") * gap)
    drafts = pl.when((tokens > 0) & (pl.col("length") >= 1)).then((tokens / pl.col("length")).floor())
    steps = pl.coalesce(drafts, pl.when(pl.col("length") >= 1).then(pl.coalesce("running", pl.lit(1.0)).clip(1)))
    return rows.with_columns(drafts=steps, accepted=steps * (pl.col("length") - 1))


def _by_place(rows: pl.DataFrame, source: CounterSource) -> list[Tally]:
    """Every place that is named, and the finest of those that differ together: `engine 2` of `pod a`."""
    names = rows.select("series", "surface").unique(maintain_order=True)
    places = [named(series or "", surface) for series, surface in names.rows()]
    told: list[By] = [by for by in BYS if any(by in place for place in places)]
    if not told and rows["path"].n_unique() < 2:
        return []
    columns = [pl.Series(f"by {by}", [place.get(by) for place in places], dtype=pl.String) for by in told]
    rows = rows.join(
        names.with_columns(*columns),
        on=["series", "surface"],
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )
    if "replica" not in told and _at_once(rows):
        told = [by for by in BYS if by in (*told, "replica")]
        rows = rows.with_columns(pl.col("path").str.extract(r"([^/\\]*)$").alias("by replica"))
    many: list[By] = [by for by in told if rows[f"by {by}"].n_unique() > 1]
    made = [t for by in told[:-1] for t in _grouped(rows, source, by, [by])]
    if told:
        inner = [by for by in many if by != told[-1]]
        made += _grouped(rows, source, told[-1], [*inner, told[-1]])
    return made


def _at_once(rows: pl.DataFrame) -> bool:
    """Whether files tell of one stretch of time, as those of several servers do: files of one that follow each other do not."""
    spans = rows.group_by("path").agg(first=pl.col("at").min(), last=pl.col("at").max(), n=pl.len())
    spans = spans.drop_nulls().filter(pl.col("last") > pl.col("first")).sort("first")
    if spans.height < 2:
        return False
    both = spans.with_columns(end=pl.col("last").shift(1).cum_max()).drop_nulls("end")
    overlap = (pl.min_horizontal("end", "last") - pl.col("first")) / (pl.col("last") - pl.col("first"))
    return bool(both.select((overlap > 0.5).sum()).item() >= spans.height - 1)


def _grouped(rows: pl.DataFrame, source: CounterSource, by: By, keys: list[By]) -> list[Tally]:
    groups = rows.filter(pl.col(f"by {by}").is_not_null()).group_by(*(f"by {key}" for key in keys), maintain_order=True)
    made = []
    for place, part in groups:
        values = dict(zip(keys, place, strict=True))
        outer = [f"{key} {values[key]}" for key in keys[:-1] if values[key] is not None]
        made.append(_tally(by, str(values[by]), tuple(reversed(outer)), source, part))
    return made if len(made) <= SERIES else []


def _tally(
    by: By | Literal["all"], place: str, within: tuple[str, ...], source: CounterSource, rows: pl.DataFrame
) -> Tally:
    return Tally(
        by,
        place,
        within,
        source.engine,
        source.surface,
        _parts(rows),
        str(rows["path"][0]),
        rows["line"][0],
        _kin(rows),
        source.counts["accepted"] is not None,
    )


def _kin(rows: pl.DataFrame) -> frozenset[str]:
    names = [name for name in rows.columns if name == "configured" or name in _KIN]
    return frozenset(f"{name} {value}" for name in names for value in rows[name].unique().to_list())


def _parts(rows: pl.DataFrame) -> pl.DataFrame:
    if rows["at"].null_count() == 0:
        rows = rows.sort("at", maintain_order=True)
    at_zero = pl.col("accepted_by_position").list.get(0, null_on_oob=True)
    rows = rows.with_columns(
        first=pl.min_horizontal(pl.coalesce(at_zero, "accepted"), "accepted", "least"),
        positions=pl.when(pl.col("drafts").is_not_null()).then("accepted_by_position"),
    )
    size = max(-(-rows.height // CLUSTERS), 1)
    longest = rows["positions"].list.len().max()
    widest = min(longest, 64) if isinstance(longest, int) else 0
    at = [pl.col("positions").list.get(j, null_on_oob=True) for j in range(widest)]
    sums = [_total(name) for name in (*_SUMS, "first")]
    listed = pl.concat_list([column.sum() for column in at]) if at else pl.lit(None, dtype=pl.List(pl.Float64))
    heard = pl.col("drafts").filter(pl.col("positions").is_not_null()).sum()
    widths = pl.col("drafted").filter(pl.col("positions").is_not_null()).sum()
    return (
        rows.group_by(cluster=pl.int_range(pl.len()) // size, maintain_order=True)
        .agg(*sums, listed.alias("positions"), heard.alias("listed_drafts"), widths.alias("listed_drafted"))
        .drop("cluster")
    )


def _total(name: str) -> pl.Expr:
    """The sum; null where every value is."""
    return pl.when(pl.col(name).is_not_null().any()).then(pl.col(name).sum()).alias(name)
