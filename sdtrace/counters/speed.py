"""Speed that stands in counts: tokens per second at a load, by window, request or run, a plain run too.

Engines print it in three ways: the throughput of all running requests over the time since the line before (or counters that
give it), the time that one request took to generate, and a benchmark's result. A throughput means something beside the
number of running requests only; divided by it, it is the speed that one request gets.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from sdtrace.counters.sources import increments
from sdtrace.schema.arrays import Floats
from sdtrace.schema.counters import PLAIN, SILENT

#: How the speed of a row is meant, the most exact first.
KINDS = ("request", "interval", "run")
#: A gap of this many usual distances between two lines is a stretch of which the second one tells little.
_GAP = 2.5
_EMPTY: dict[str, pl.DataType] = {
    "kind": pl.String(),
    "engine": pl.String(),
    "surface": pl.String(),
    "series": pl.String(),
    "path": pl.String(),
    "at": pl.Float64(),
    "tokens": pl.Float64(),
    "seconds": pl.Float64(),
    "running": pl.Float64(),
    "length": pl.Float64(),
    "drafting": pl.Boolean(),
}


@dataclass(frozen=True)
class Speed:
    """One engine's speeds of one kind, from one surface.

    `rows` are in order: tokens in seconds while `running` requests ran (null where it is not told; of a request, itself and
    those beside it), `length` tokens per step where known. `per_request` is in tokens/s of one request, `step_ms` the
    time of a step of one request, as means over the time.
    """

    kind: str
    engine: str
    surface: str
    rows: pl.DataFrame

    @property
    def drafting(self) -> bool:
        """Whether anything was drafted in these rows."""
        return bool(self.rows["drafting"].any())

    @property
    def engine_tps(self) -> float | None:
        """Tokens per second of all running requests; None where rows are of single requests."""
        if self.kind == "request":
            return None
        return float(self.rows["tokens"].sum()) / float(self.rows["seconds"].sum())

    @property
    def running(self) -> float | None:
        """Mean number of running requests, over time."""
        told = self.rows.drop_nulls("running")
        if told.is_empty():
            return None
        return float((told["running"] * told["seconds"]).sum()) / float(told["seconds"].sum())

    @property
    def per_request(self) -> float | None:
        """Tokens per second of one request."""
        rows = self.rows if self.kind == "request" else self.rows.drop_nulls("running")
        spent = rows["seconds"] if self.kind == "request" else rows["seconds"] * rows["running"]
        return float(rows["tokens"].sum()) / float(spent.sum()) if rows.height and spent.sum() else None

    @property
    def length(self) -> float | None:
        """Tokens per step; 1 of plain decoding."""
        if not self.drafting:
            return 1.0
        told = self.rows.drop_nulls("length")
        if told.is_empty():
            return None
        return float(told["tokens"].sum()) / float((told["tokens"] / told["length"]).sum())

    @property
    def step_ms(self) -> float | None:
        """Time of a step of one request: its tokens per step over its speed."""
        speed, length = self.per_request, self.length
        return None if not speed or length is None else 1000 * length / speed


def speeds(windows: pl.DataFrame) -> list[Speed]:
    """Every speed that the windows hold, requests in front, more rows in front."""
    if windows.is_empty():
        return []
    drafts = (pl.col("drafted") > 0) | pl.col("said_rate").is_not_null() | (pl.col("length") > 1)
    drafting = windows.filter(drafts)["engine"].unique().to_list()
    parts = [_requests(windows), _intervals(windows), _counters(windows), _runs(windows)]
    rows = pl.concat(
        [part.select(list(_EMPTY)).cast(pl.Schema(_EMPTY)) for part in parts if part.height]
        or [pl.DataFrame(schema=_EMPTY)]
    )
    rows = rows.with_columns(drafting=pl.coalesce("drafting", pl.col("engine").is_in(drafting)))
    beside = pl.col("drafting").any().over("kind", "engine", "surface") & (pl.col("kind") == "run")
    named = pl.when(beside & ~pl.col("drafting")).then(pl.col("surface") + PLAIN).otherwise("surface")
    rows = rows.filter((pl.col("tokens") > 0) & (pl.col("seconds") > 0)).with_columns(surface=named)
    found = [
        Speed(str(kind), str(engine), str(surface), part)
        for (kind, engine, surface), part in rows.group_by("kind", "engine", "surface", maintain_order=True)
    ]
    return sorted(found, key=lambda s: (KINDS.index(s.kind), -s.rows.height))


def _requests(windows: pl.DataFrame) -> pl.DataFrame:
    """Requests that tell how long they generated and how much. Lines of requests with and without drafts are one surface."""
    busy = pl.coalesce(pl.col("busy_ms") / 1000, pl.col("emitted") / pl.col("generation_tps"))
    mine = windows.filter((pl.col("basis") == "request") & (pl.col("emitted") > 1) & (busy > 0))
    mine = mine.with_columns(
        kind=pl.lit("request"),
        surface=pl.col("surface").replace({"eval time": "request"}),
        tokens=pl.col("emitted"),
        seconds=busy,
        drafting=_drafts(),
        length=pl.when(pl.col("drafts") > 0).then(1 + pl.col("accepted") / pl.col("drafts")),
    )
    return mine.with_columns(running=_beside(mine))


def _drafts() -> pl.Expr:
    """Whether a request drafted: it counts drafted tokens, or accepted ones, or was given a drafter that nothing is printed of."""
    counted = (pl.col("drafted") > 0) | ((pl.col("accepted") > 0) & (pl.col("drafts") > 0))
    return counted.fill_null(value=False) | pl.col("family").eq_missing(pl.lit(SILENT))


def _beside(requests: pl.DataFrame) -> pl.Series:
    """Mean number of requests that generated at once, by request, from the times of lines that are printed when one ends.

    The number of open requests, summed over the time of each and divided by it; requests of one file and server share it.
    Null where lines have no time.
    """
    server = pl.col("series").fill_null("").str.replace(r"slot \d+$", "")
    table = requests.with_row_index("row").select("row", "seconds", end="at", place=pl.col("path") + server)
    table = table.filter(pl.col("end").is_not_null()).with_columns(begin=pl.col("end") - pl.col("seconds"))
    found = np.full(requests.height, np.nan)
    for _, part in table.group_by("place", maintain_order=True):
        begin, end = part["begin"].to_numpy(), part["end"].to_numpy()
        begins, ends = np.sort(begin), np.sort(end)
        open_time = [_since(begins, at) - _since(ends, at) for at in (end, begin)]
        found[part["row"].to_numpy()] = np.maximum((open_time[0] - open_time[1]) / (end - begin), 1.0)
    return pl.Series("running", found).fill_nan(None)


def _since(moments: Floats, at: Floats) -> Floats:
    """Time that has passed at each of `at` since every one of the sorted moments before it, added up."""
    sums = np.concatenate([[0.0], np.cumsum(moments)])
    before = np.searchsorted(moments, at, side="right")
    return np.asarray(before * at - sums[before])


def _intervals(windows: pl.DataFrame) -> pl.DataFrame:
    """Printed throughput beside a number of running requests. Where none ran at one end, the time was idle in part."""
    mine = windows.filter(
        pl.col("basis").is_in(["gauge", "interval"])
        & pl.col("generation_tps").is_not_null()
        & pl.col("running").is_not_null()
    ).sort("path", "engine", "surface", "series", "at", "line", nulls_last=True)
    by = ["path", "engine", "surface", "series"]
    gap = pl.col("at").diff().over(by)
    usual = pl.when(gap > 0).then(gap).median().over(by)
    mine = mine.with_columns(gap=gap, usual=usual, before=pl.col("running").shift(1).over(by))
    apart = (pl.col("gap") > _GAP * pl.col("usual")).fill_null(value=False)
    mine = mine.filter((pl.col("running") > 0) & (pl.col("before").fill_null(1) > 0) & ~apart)
    seconds = pl.coalesce(pl.when(pl.col("gap") > 0).then("gap"), "usual", pl.lit(1.0))
    mine = mine.with_columns(kind=pl.lit("interval"), seconds=seconds * pl.col("merged").fill_null(1), drafting=None)
    mine = mine.with_columns(tokens=pl.col("generation_tps") * pl.col("seconds"))
    return mine.with_columns(length=pl.coalesce("length", _lengths(mine, windows)))


def _lengths(lines: pl.DataFrame, windows: pl.DataFrame) -> pl.Series:
    """Tokens per step that the same process printed within two seconds of each line, on a line of its own."""
    keys = ["path", "engine", "series"]
    told = windows.filter((pl.col("drafts") > 0) & pl.col("at").is_not_null() & (pl.col("basis") == "interval"))
    told = told.select(*keys, "at", beside=1 + pl.col("accepted") / pl.col("drafts")).sort("at")
    asked = lines.with_row_index("row").select("row", *keys, "at").filter(pl.col("at").is_not_null()).sort("at")
    if told.is_empty() or asked.is_empty():
        return pl.Series("length", [None] * lines.height, dtype=pl.Float64)
    near = asked.join_asof(told, on="at", by=keys, strategy="nearest", tolerance=2.0, check_sortedness=False)
    rows = pl.DataFrame({"row": pl.Series(range(lines.height), dtype=asked["row"].dtype)})
    return rows.join(near.select("row", "beside"), on="row", how="left", maintain_order="left")["beside"]


def _counters(windows: pl.DataFrame) -> pl.DataFrame:
    """What a counter of generated tokens grew by between two samples, beside the running requests of those samples."""
    told = windows.filter((pl.col("basis") == "counter") & pl.col("emitted").is_not_null() & pl.col("at").is_not_null())
    if told.height < 2:
        return pl.DataFrame(schema=_EMPTY)
    by = ["engine", "surface", "series", "origin"]
    added = increments(told).sort(*by, "at").with_columns(seconds=pl.col("at").diff().over(by))
    load = windows.filter((pl.col("basis") == "gauge") & pl.col("running").is_not_null() & pl.col("at").is_not_null())
    load = load.select("engine", "series", "at", load="running").unique(["engine", "series", "at"])
    added = added.join(load, on=["engine", "series", "at"], how="left", nulls_equal=True, maintain_order="left")
    added = added.with_columns(before=pl.col("load").shift(1).over(by))
    idle = (pl.col("before") == 0) | (pl.col("load") == 0)
    added = added.filter(~idle.fill_null(value=False) & (pl.col("seconds") > 0))
    return added.with_columns(
        kind=pl.lit("interval"),
        tokens=pl.col("emitted"),
        running=(pl.col("load") + pl.col("before")) / 2,
        drafting=pl.col("drafts") > 0,
        length=pl.when(pl.col("drafts") > 0).then(1 + pl.col("accepted") / pl.col("drafts")),
    )


def _runs(windows: pl.DataFrame) -> pl.DataFrame:
    """Results of benchmarks: their throughput, and the mean number of requests in flight where it is told."""
    speed = pl.coalesce("generation_tps", pl.col("emitted") / pl.col("busy_ms") * 1000)
    mine = windows.filter((pl.col("basis") == "run") & (speed > 0)).with_columns(speed=speed)
    tokens = pl.coalesce("emitted", pl.col("speed") * pl.col("span_s"), "speed")
    drafting = (pl.col("length") > 1) | (pl.col("drafted") > 0) | (pl.col("rate") > 0)
    mine = mine.with_columns(kind=pl.lit("run"), tokens=tokens, drafting=drafting.fill_null(value=False))
    return mine.with_columns(seconds=pl.col("tokens") / pl.col("speed"))
