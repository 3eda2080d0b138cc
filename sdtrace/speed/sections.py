"""Sections of the report about time: the step as a waterfall, the cost curve, speed-up against batch size."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import polars as pl

from sdtrace.results.clock import WALL, clock
from sdtrace.results.numbers import ms, times
from sdtrace.results.report import Chart, Section, Value
from sdtrace.results.words import IF_GONE
from sdtrace.speed.cost import ENOUGH, shapes, step_cost
from sdtrace.speed.finding import total
from sdtrace.speed.slow_acceptance import rate
from sdtrace.speed.strata import attributes, levels
from sdtrace.speed.timing import Timing
from sdtrace.stats.changepoint import turn
from sdtrace.tally.tally import FINE

#: Rows of a curve, and levels of an attribute, that are shown.
POINTS, LEVELS = 60, 20


def time_sections(timing: Timing) -> list[Section]:
    """Everything about time, in reading order; empty where no step has a duration."""
    if timing.document is None:
        return []
    decode = timing.cost.filter(pl.col("prefill") == 0)
    made = [_step(timing), _by_batch(timing, decode), _stairs(decode), _over_time(timing)]
    return [section for section in made if section is not None]


def slice_section(timing: Timing) -> Section | None:
    """Acceptance of every level of every attribute of requests that varies; None where nothing does."""
    joined = attributes(timing.places, timing.requests)
    rows: list[list[Value]] = []
    for name in levels(joined):
        for level in joined[name].drop_nulls().unique().sort().to_list()[:LEVELS]:
            mine = joined.filter(pl.col(name) == level)
            if not mine["tested"].sum():
                continue
            found = rate(mine)
            gained = total(mine, "tokens") / total(mine, "lines")
            rows.append(
                [
                    f"{name}={level}",
                    mine["hash"].n_unique(),
                    int(total(mine, "tested")),
                    gained,
                    found.value,
                    found.low,
                    found.high,
                ]
            )
    if not rows or len(rows) > 200:
        return None
    rows.sort(key=lambda row: (row[4] if isinstance(row[4], float) else 1.0, str(row[0])))
    least, most = (f"{row[4]:.0%}" for row in (rows[0], rows[-1]))
    says = f"{rows[0][0]} accepts least, {least} of its tested tokens; {rows[-1][0]} most, {most}."
    says = f"Each slice accepts {least} of its tested tokens." if least == most else says
    ends = [[None if row[i] is None else float(str(row[i])) for row in rows[:40]] for i in (4, 5, 6)]
    chart = Chart(
        "bars",
        "slice",
        "accepted / tested",
        [str(r[0]) for r in rows[:40]],
        {"acceptance": ends[0]},
        ends[1],
        ends[2],
        share=True,
    )
    columns = ["slice", "requests", "tested", "tokens per step", "accepted / tested", "low (95%)", "high (95%)"]
    return Section("by-slice", "Acceptance by slice", says, columns, rows, chart, columns[4:], columns[3:4])


def _step(timing: Timing) -> Section:
    assert timing.ledger is not None
    spent = timing.ledger
    rows: list[list[Value]] = []
    for name, part in (*spent.parts.items(), ("unattributed", spent.unattributed)):
        if part is not None:
            rows.append([name, part, part / spent.step, timing.gains.get("overhead" if name in ("sample",) else name)])
    if timing.gains.get("overhead") is not None:
        rows[-1][-1] = timing.gains["overhead"]
        for row in rows[:-1]:
            row[-1] = None if row[0] == "sample" else row[-1]
    says = f"A step takes {ms(spent.step)}."
    if spent.hidden > 0.005 * spent.step:
        says += f" Another {ms(spent.hidden)} of recorded parts ran beside others and cost no time."
    if timing.bottleneck:
        gain = timing.gains[timing.bottleneck] or 0.0
        says += f" If {IF_GONE[timing.bottleneck]}, throughput would rise {gain:.0%}{_next_best(timing)}."
    chart = Chart(
        "stack", "part of the step", "ms", [str(r[0]) for r in rows], {"ms": [float(r[1] or 0) for r in rows]}
    )
    columns = ["part", "ms", "share of the step", "gain if it took no time"]
    return Section("time", "Where a step's time goes", says, columns, rows, chart, columns[2:])


def _next_best(timing: Timing) -> str:
    rest = {k: v for k, v in timing.gains.items() if v is not None and v > 0.02 and k != timing.bottleneck}
    name = max(rest, key=lambda k: rest[k]) if rest else None
    return f"; the next is {name} ({rest[name]:+.0%})" if name else ""


def by_batch(timing: Timing, decode: pl.DataFrame) -> pl.DataFrame:
    """Rows a power of two of batch size: batch, steps, gained, step_ms, plain_ms, speedup, low, high (bounds), break_even.

    Columns that the baseline does not tell are null.
    """
    assert timing.baseline is not None
    table = decode.with_columns(octave=pl.col("b").log(2).round().cast(pl.Int64))
    rows = shapes(table, "octave").filter((pl.col("steps") >= ENOUGH) & (pl.col("step_ms") > 0))
    at = rows["batch"].to_numpy().astype(np.float64)
    base = timing.baseline
    plain = pl.Series(base.plain(at) if base.plain is not None else [None] * len(at), dtype=pl.Float64)
    most = pl.Series(base.high(at), dtype=pl.Float64)
    return rows.with_columns(
        plain_ms=plain,
        break_even=pl.col("step_ms") / plain,
        speedup=pl.col("gained") * plain / pl.col("step_ms"),
        most=pl.col("gained") * most / pl.col("step_ms"),
    )


def crossing(rows: pl.DataFrame) -> float | None:
    """The batch size where the speed-up falls below 1, interpolated on a log scale; None where it does not cross."""
    known = rows.drop_nulls("speedup")
    points = list(zip(np.log(known["batch"].to_numpy()), known["speedup"].to_numpy(), strict=True))
    for (x0, y0), (x1, y1) in pairwise(points):
        if y0 >= 1 > y1:
            return float(np.exp(x0 + (x1 - x0) * (y0 - 1) / (y0 - y1)))
    return None


def _by_batch(timing: Timing, decode: pl.DataFrame) -> Section | None:
    rows = by_batch(timing, decode)
    if rows.is_empty() or not timing.drafted:
        return None
    table: list[list[Value]] = [
        [r["batch"], r["steps"], r["gained"], r["step_ms"], r["plain_ms"], r["break_even"], r["speedup"], r["most"]]
        for r in rows.iter_rows(named=True)
    ]
    says = "Speed-up over plain decoding at equal batch size; above 1 speculation gains."
    if timing.speedup is not None:
        says = f"Speculation is {times(timing.speedup.value)} times as fast as plain decoding at equal batch size."
        at = crossing(rows)
        says += f" It stops gaining at a batch of about {at:.0f}." if at is not None else ""
    elif timing.baseline is not None and timing.bounds[1] is not None:
        says = (
            f"Speculation is at most {times(timing.bounds[1])} times as fast as plain decoding: {timing.baseline.why}."
        )
    series: dict[str, list[float | None]] = {"speed-up": rows["speedup"].to_list()}
    if timing.baseline is not None and timing.baseline.plain is None:
        series = {"at most": rows["most"].to_list()}
    series["break-even"] = [1.0] * rows.height
    chart = Chart("line", "requests in the step", "times plain decoding", [f"{b:.0f}" for b in rows["batch"]], series)
    columns = [
        "batch",
        "engine steps",
        "tokens per step",
        "step ms",
        "plain step ms",
        "break-even tokens",
        "speed-up",
        "at most",
    ]
    return Section("break-even", "Speed-up by batch size", says, columns, table, chart, per_step=["tokens per step"])


def _stairs(decode: pl.DataFrame) -> Section | None:
    stairs = step_cost(decode).stairs()
    if stairs.height < 3:
        return None
    if stairs.height > POINTS:
        stairs = stairs.sort("steps", descending=True).head(POINTS).sort("tokens")
    rows: list[list[Value]] = [
        list(row) for row in stairs.select("tokens", "steps", "rest_ms", "fitted_ms").iter_rows()
    ]
    first, last = stairs.row(0, named=True), stairs.row(-1, named=True)
    says = (
        f"A step without its draft takes {ms(first['fitted_ms'])} at {first['tokens']:.0f} verified tokens and "
        f"{ms(last['fitted_ms'])} at {last['tokens']:.0f}."
    )
    series = {"fitted": stairs["fitted_ms"].to_list(), "mean": stairs["rest_ms"].to_list()}
    chart = Chart("line", "verified tokens in the step", "ms", [f"{t:.0f}" for t in stairs["tokens"]], series)
    columns = ["verified tokens", "engine steps", "mean ms", "fitted, never falling"]
    return Section("cost-curve", "What verification costs", says, columns, rows, chart)


def _over_time(timing: Timing) -> Section | None:
    sums = (
        timing.blocks.group_by(pl.col("bucket") // FINE, maintain_order=True)
        .agg(pl.col(pl.Float64).sum())
        .filter(pl.col("wt") > 0)
        .sort("bucket")
    )
    if sums.height < 3:
        return None
    start, width = sums["bucket"][0], timing.width
    at = [] if width is None else [bucket * width for bucket in sums["bucket"]]
    names = [clock(place) for place in at] or [str(bucket - start) for bucket in sums["bucket"]]
    rows: list[list[Value]] = [
        [name, r["w"], r["wt"] / r["w"], 1000 * r["timed_tokens"] / r["wt"]]
        for name, r in zip(names, sums.iter_rows(named=True), strict=True)
    ]
    steps = [float(r[2] or 0) for r in rows]
    says = f"Mean step between {ms(min(steps))} and {ms(max(steps))} in {len(rows)} intervals"
    says += "." if width is None else f" of {width:g} s."
    marked: list[float | None] = [None] * len(rows)
    if (turned := turn(steps)) is not None:
        marked[turned] = steps[turned]
        says += f" It changes most at {'' if at else 'interval '}{names[turned]}, marked in the chart."
    unit = "interval" if not at else "time (UTC)" if at[0] >= WALL else "seconds"
    chart = Chart("line", unit, "ms a step", names, {"step": list(steps), "change": marked})
    if at:
        chart = replace(chart, at=at, axis="clock" if at[0] >= WALL else "seconds")
    columns = [unit, "engine steps", "step ms", "tokens per second of busy engine"]
    return Section("time-over-time", "Step time over time", says, columns, rows, chart)
