"""Counts over time: tokens per step, acceptance by position, throughput and load."""

from typing import Literal

import polars as pl

from sdtrace.counters.sources import CounterSource, increments
from sdtrace.results.clock import WALL, clock
from sdtrace.results.numbers import per_step
from sdtrace.results.report import Chart, Section, Value

#: Intervals of a timeline, positions of a draft that it follows.
POINTS, POSITIONS = 120, 4
Axis = Literal["", "clock", "seconds"]
_LOAD = {
    "generation_tps": "generated tokens per second",
    "running": "running requests",
    "waiting": "waiting requests",
    "kv_usage": "share of the KV cache",
}


def timelines(windows: pl.DataFrame, source: CounterSource) -> list[Section]:
    """Sections of one source in time; nothing where there is one window of it."""
    mine = windows.filter((pl.col("engine") == source.engine) & (pl.col("surface") == source.surface))
    mine = mine.filter(pl.col("basis") == source.basis)
    if source.basis in ("lifetime", "counter"):
        mine = increments(mine)
    timed = mine["at"].null_count() == 0 and mine["at"].n_unique() > 2
    place = pl.col("at") if timed else pl.int_range(pl.len()).cast(pl.Float64)
    mine = mine.with_columns(place=place).sort("place", maintain_order=True)
    if mine.height < 2:
        return []
    start, end = float(mine["place"][0]), float(mine["place"][-1])
    width = max((end - start) / POINTS, 1e-9)
    table = _bucketed(mine, start, width)
    if timed:
        table = _with_load(table, windows, source.engine, start, end, width)
    wall = timed and start >= WALL
    table = table.with_columns(at=pl.col("since") + start)
    unit = "time (UTC)" if wall else "seconds" if timed else "record"
    axis: Axis = "clock" if wall else "seconds" if timed else ""
    made = [
        _acceptance(table, unit, axis, source),
        _load(table, unit, axis),
        _positions(table, unit, axis),
    ]
    return [section for section in made if section is not None]


def _bucket(start: float, width: float) -> pl.Expr:
    return ((pl.col("place") - start) / width).floor().clip(0, POINTS - 1).alias("bucket")


def _bucketed(mine: pl.DataFrame, start: float, width: float) -> pl.DataFrame:
    """Ratios of sums by interval; plain means where windows have no counts."""
    at = [pl.col("accepted_by_position").list.get(j, null_on_oob=True).fill_null(0) for j in range(POSITIONS)]
    listed = pl.col("accepted_by_position").is_not_null() & pl.col("drafts").is_not_null()
    widest = mine["accepted_by_position"].list.len().max()
    known = min(POSITIONS, widest if isinstance(widest, int) else 0)
    counted = pl.col("accepted").filter(pl.col("drafts").is_not_null()).sum()
    tried = pl.col("accepted").filter(pl.col("drafted").is_not_null()).sum()
    found = (
        mine.group_by(_bucket(start, width))
        .agg(
            (pl.col("place").min() - start).alias("since"),
            pl.col("path").first(),
            pl.col("line").first(),
            n=pl.col("merged").fill_null(1).sum(),
            length=pl.when(pl.col("drafts").sum() > 0)
            .then(1 + counted / pl.col("drafts").sum())
            .otherwise(pl.col("length").mean()),
            rate=pl.when(pl.col("drafted").sum() > 0)
            .then(tried / pl.col("drafted").sum())
            .otherwise(pl.col("rate").mean()),
            emitted=pl.when(pl.col("emitted").is_not_null().any()).then(pl.col("emitted").sum()),
            **{f"pos {j}": at[j].filter(listed).sum() / pl.col("drafts").filter(listed).sum() for j in range(known)},
        )
        .sort("bucket")
    )
    return found.with_columns(pl.col(pl.Float64).fill_nan(None))


def _with_load(
    table: pl.DataFrame, windows: pl.DataFrame, engine: str, start: float, end: float, width: float
) -> pl.DataFrame:
    """Throughput and load of the same engine in the same intervals, as printed; summed over ranks, then averaged."""
    there = [n for n in _LOAD if windows[n].null_count() < windows.height]
    mine = windows.filter((pl.col("engine") == engine) & pl.col("at").is_between(start, end))
    mine = mine.filter(pl.any_horizontal(pl.lit(value=False), *(pl.col(n).is_not_null() for n in there)))
    if mine.is_empty():
        return table
    best = mine.group_by("surface").len().sort("len", "surface", descending=[True, False])["surface"][0]
    one = mine.filter(pl.col("surface") == best).rename({"at": "place"})
    ranks = one.group_by("place").agg(pl.col(n).sum() if n != "kv_usage" else pl.col(n).mean() for n in there)
    load = ranks.group_by(_bucket(start, width)).agg(pl.col(n).mean() for n in there)
    return table.join(load, on="bucket", how="left").sort("bucket")


def _rows(table: pl.DataFrame, axis: Axis, *columns: str) -> list[list[Value]]:
    """Rows of the table, the first cell a time of day, seconds of the log's own clock, or the number of a record."""
    places = [clock(at) if axis == "clock" else f"{at:g}" for at in (table["at"] if axis else table["since"])]
    return [[place, *row] for place, row in zip(places, table.select(columns).rows(), strict=True)]


def _line(
    table: pl.DataFrame,
    rows: list[list[Value]],
    unit: str,
    axis: Axis,
    what: str,
    series: dict[str, list[float | None]],
    *,
    share: bool = False,
) -> Chart:
    at = table["at"].to_list() if axis else []
    return Chart("line", unit, what, [str(row[0]) for row in rows], series, at=at, axis=axis, share=share)


def _acceptance(table: pl.DataFrame, unit: str, axis: Axis, source: CounterSource) -> Section | None:
    series = table["length"].to_list()
    known = [v for v in series if v is not None]
    if not known:
        return None
    rows = _rows(table, axis, "line", "n", "length", "rate")
    ends = f"{per_step(min(known))} and {per_step(max(known))}"
    says = f"Tokens per drafting step between {ends} in {len(rows)} intervals, from {source.name}."
    chart = _line(table, rows, unit, axis, "tokens per drafting step", {"tokens per drafting step": series})
    columns = [unit, "line", "records", "tokens per drafting step", "accepted / drafted"]
    return Section("over-time", "Acceptance over time", says, columns, rows, chart, columns[4:], columns[3:4])


def _load(table: pl.DataFrame, unit: str, axis: Axis) -> Section | None:
    """Throughput and load; drawn is the throughput, or what there is in its place."""
    there = [n for n in _LOAD if n in table.columns and table[n].null_count() < table.height]
    if not there:
        return None
    rows = _rows(table, axis, *there)
    says = f"As the engine prints it, summed over ranks: {', '.join(_LOAD[n] for n in there)}; drawn is the first."
    series = {_LOAD[there[0]]: table[there[0]].to_list()}
    chart = _line(table, rows, unit, axis, _LOAD[there[0]], series)
    return Section("load-over-time", "Load over time", says, [unit, *(_LOAD[n] for n in there)], rows, chart)


def _positions(table: pl.DataFrame, unit: str, axis: Axis) -> Section | None:
    names = [n for n in table.columns if n.startswith("pos ") and table[n].null_count() < table.height]
    if not names:
        return None
    rows = _rows(table, axis, *names)
    says = f"Share of the drafting steps that accept each of the first {len(names)} positions."
    series = {n: table[n].to_list() for n in names}
    chart = _line(table, rows, unit, axis, "steps that accept it", series, share=True)
    return Section("positions-over-time", "Acceptance by position over time", says, [unit, *names], rows, chart, names)
