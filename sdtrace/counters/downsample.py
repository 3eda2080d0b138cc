"""Windows of long inputs in bounded memory: judged by every check of windows first, then folded two by two.

Samples of counters are thinned: every second one goes, never the first or the last of a series nor the two
around a fall, so that what a counter added stays the same and only the resolution in time is lost. Windows that count
for themselves are added up with their neighbour of the same series where both say the same things; sums and ratios of
sums stay the same. Gauges become means of neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from sdtrace.results.check import Check, Counts
from sdtrace.schema.counters import no_windows

#: Windows that are kept; past it the older ones are folded.
KEPT = 100_000
#: Small frames are joined whenever this many have gathered.
FRAMES = 256
#: Faulty windows that are kept as evidence of one check.
WITNESSES = 5

SERIES = ("engine", "surface", "basis", "series", "origin")
SAMPLES = ("counter", "lifetime")
_SUMS = ("drafts", "steps", "drafted", "accepted", "emitted", "draft_ms", "busy_ms", "verify_ms", "sample_ms", "span_s")
_LISTS = ("accepted_by_position", "drafted_by_position", "histogram")
_MEANS = ("length", "rate", "generation_tps", "running", "waiting", "kv_usage")


def origin() -> pl.Expr:
    """Where a series lives: the folder of files that tell their time (scrapes of one process), else the file itself."""
    folder = pl.col("path").str.replace(r"[^/]*$", "")
    return pl.when(pl.col("at").is_null()).then(pl.col("path")).otherwise(folder).alias("origin")


@dataclass
class Folder:
    """Takes windows batch by batch; `windows` and `judged` (check code -> counts of what was folded) are the result."""

    checks: Sequence[Check]
    kept: int = KEPT
    frames: list[pl.DataFrame] = field(default_factory=list)
    height: int = 0
    judged: dict[str, Counts] = field(default_factory=dict)

    def add(self, windows: pl.DataFrame) -> None:
        """Add a batch's windows, and fold when there are too many."""
        self.frames.append(windows)
        self.height += windows.height
        if len(self.frames) >= FRAMES:
            self.frames = [self.windows()]
        if self.height > self.kept:
            whole = self.windows()
            fresh = whole.filter(pl.col("merged").is_null())
            for check in self.checks:
                if check.table == "windows":
                    self.judged[check.code] = added(self.judged.get(check.code), judge(check, named(fresh)))
            self.frames = [halved(whole.with_columns(merged=pl.col("merged").fill_null(1)))]
            self.height = self.frames[0].height

    def windows(self) -> pl.DataFrame:
        """Everything that is kept."""
        return pl.concat(self.frames, rechunk=True) if self.frames else no_windows()


def named(windows: pl.DataFrame) -> pl.DataFrame:
    """Windows that stand alone, under the names by which checks point at a place."""
    alone = windows.filter(pl.col("merged").is_null())
    return alone.rename({"path": "first_path", "line": "first_line"}).with_columns(run_id=pl.lit(None, dtype=pl.String))


def judge(check: Check, table: pl.DataFrame) -> Counts:
    """What a check says of the rows of a table."""
    if table.is_empty():
        return Counts(0, 0, 0, ())
    judged = pl.col("judged").fill_null(value=False)
    asked = table.lazy().select(judged=check.judged, fault=check.fault)
    found = asked.select(judged, fault=judged & pl.col("fault")).collect()
    faulty = table.filter(found["fault"]) if found["fault"].any() else table.clear()
    missing = tuple(n for n in check.needs if n in table.columns and table[n].null_count() == table.height)
    shown = tuple(_place(row, check) for row in faulty.head(WITNESSES).to_dicts())
    return Counts(table.height, int(found["judged"].sum()), faulty.height, missing, shown)


def _place(row: dict[str, object], check: Check) -> dict[str, object]:
    place = {"path": row.get("first_path"), "line": row.get("first_line"), "run_id": row.get("run_id")}
    return place | {"request_id": row.get("request_id"), **{name: row.get(name) for name in check.shows}}


def added(one: Counts | None, other: Counts) -> Counts:
    """Counts of two parts of one table."""
    if one is None or not one.total:
        return other
    if not other.total:
        return one
    return Counts(
        one.total + other.total,
        one.examined + other.examined,
        one.faults + other.faults,
        tuple(n for n in one.missing if n in other.missing),
        (one.witnesses + other.witnesses)[:WITNESSES],
    )


def halved(windows: pl.DataFrame) -> pl.DataFrame:
    """About half as many windows: samples thinned, the others added up in pairs."""
    ordered = windows.with_columns(origin()).with_row_index("row").sort(*SERIES, "at", "row", nulls_last=True)
    samples = pl.col("basis").is_in(SAMPLES)
    parts = [_thinned(ordered.filter(samples)), _paired(ordered.filter(~samples))]
    return pl.concat(parts).sort("row").drop("row", "origin")


def _thinned(samples: pl.DataFrame) -> pl.DataFrame:
    """Every second sample of a series, its ends, and both sides of a fall."""
    place = pl.int_range(pl.len()).over(SERIES)
    total = pl.col("accepted_by_position").list.sum()
    falls = pl.any_horizontal(
        *((pl.col(n) < pl.col(n).shift(1)).over(SERIES).fill_null(value=False) for n in _SUMS),
        (total < total.shift(1)).over(SERIES).fill_null(value=False),
    )
    ends = (place == 0) | (place == pl.len().over(SERIES) - 1)
    before = falls.shift(-1).over(SERIES).fill_null(value=False)
    # the first sample in which a counter stands must stay, or what it began with is lost
    begins = pl.any_horizontal(
        *((pl.col(n).is_not_null() & pl.col(n).shift(1).is_null()).over(SERIES).fill_null(value=False) for n in _SUMS)
    )
    marked = samples.with_columns(keep=(place % 2 == 0) | ends | falls | before | begins)
    gone = pl.when(pl.col("keep")).then(0).otherwise(pl.col("merged"))
    marked = marked.with_columns(merged=pl.col("merged") + gone.shift(-1).over(SERIES).fill_null(0))
    return marked.filter("keep").drop("keep")


def _paired(windows: pl.DataFrame) -> pl.DataFrame:
    """Neighbours of one series (and one file, gauges apart) that say the same things, added up; the others stay."""
    same = [pl.col(n).is_null().cast(pl.String) for n in (*_SUMS, *_MEANS)]
    same += [pl.col(n).list.len().cast(pl.String).fill_null("-") for n in _LISTS]
    said = pl.concat_str(*same, pl.coalesce(pl.col("k").cast(pl.String), pl.lit("-")), separator="|")
    keys = [*SERIES, "file", "says"]
    file = pl.when(pl.col("basis") == "gauge").then(pl.lit("")).otherwise(pl.col("path"))
    counted = windows.with_columns(says=said, file=file).with_columns(turn=pl.int_range(pl.len()).over(keys))
    pair = (pl.col("turn") // 2).alias("pair")
    first = counted.filter(pl.col("turn") % 2 == 0).with_columns(pair)
    second = counted.filter(pl.col("turn") % 2 == 1).with_columns(pair)
    both = first.join(second, on=[*keys, "pair"], how="left", suffix="_2", nulls_equal=True)
    weight, other = pl.col("merged"), pl.col("merged_2").fill_null(0)
    found = pl.col("merged_2").is_not_null()
    told = ("said", "said_length", "said_rate", "said_positions", "request_id")
    summed = both.with_columns(
        *(pl.when(found).then(pl.col(n) + pl.col(f"{n}_2")).otherwise(pl.col(n)).alias(n) for n in (*_SUMS, *_LISTS)),
        *(
            (pl.col(n) * weight + pl.col(f"{n}_2").fill_null(0) * other).truediv(weight + other).alias(n)
            for n in _MEANS
        ),
        *(pl.when(found).then(None).otherwise(pl.col(n)).alias(n) for n in told),
        merged=weight + other,
    )
    return summed.select(windows.columns)
