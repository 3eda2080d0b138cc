"""The figures of both sides, one definition each, and their relative change with its interval."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from sdtrace.comparison.arms import Arm, Pair, column, independent
from sdtrace.schema.arrays import Floats
from sdtrace.speed.finding import total
from sdtrace.stats.jackknife import Interval

Figure = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Metric:
    """`change` is candidate / base - 1. `timed`: it rests on durations. None where a side does not say."""

    name: str
    base: float | None
    candidate: float | None
    change: Interval | None
    timed: bool


def _ratio(above: str, below: str) -> Figure:
    return lambda s: column(s, above) / column(s, below)


def _per_second(s: Floats) -> Floats:
    """Tokens per second of one request while the engine works for it: tokens per step over the mean step."""
    return 1000 * (column(s, "timed_tokens") / column(s, "timed")) / (column(s, "wt") / column(s, "w"))


def _rest(s: Floats) -> Floats:
    known = column(s, "wd") + column(s, "wv") + column(s, "ws") - column(s, "wh")
    return (column(s, "wt") - known) / column(s, "w")


#: name -> (figure, does it rest on durations)
FIGURES: dict[str, tuple[Figure, bool]] = {
    "tokens_per_second": (_per_second, True),
    "engine_tokens_per_second": (lambda s: 1000 * column(s, "timed_tokens") / column(s, "wt"), True),
    "tokens_per_step": (_ratio("tokens", "lines"), False),
    "accepted_of_drafted": (_ratio("accepted", "drafted"), False),
    "accepted_of_tested": (_ratio("accepted", "tested"), False),
    "accepted_at_first": (_ratio("a0", "v0"), False),
    "drafted_per_step": (_ratio("drafted", "lines"), False),
    "step_ms": (_ratio("wt", "w"), True),
    "draft_ms": (_ratio("wd", "has_d"), True),
    "verify_ms": (_ratio("wv", "has_v"), True),
    "sample_ms": (_ratio("ws", "has_s"), True),
    "unattributed_ms": (_rest, True),
    "requests_per_step": (_ratio("timed", "w"), True),
    "tokens_verified_per_step": (_ratio("wn", "w"), True),
}


def metrics(both: Pair) -> list[Metric]:
    """Every figure that at least one side knows."""
    found = [_metric(both, name, *FIGURES[name]) for name in FIGURES]
    found += [_latency(both, name) for name in ("time_to_first_token_s", "request_s", "time_per_output_token_ms")]
    found.append(_wrong(both))
    return [one for one in found if one.base is not None or one.candidate is not None]


def _metric(both: Pair, name: str, figure: Figure, timed: bool) -> Metric:
    with np.errstate(all="ignore"):
        base, candidate = (_known(float(figure(sums.sum(axis=0)))) for sums in both.sums)
    if not base or not candidate:
        return Metric(name, base, candidate, None, timed)

    def change(one: Floats, other: Floats) -> Floats:
        return np.asarray(np.log(figure(other) / figure(one)))[..., None]

    if name == "tokens_per_second":
        return Metric(name, base, candidate, relative(_throughput(both)), timed)
    return Metric(name, base, candidate, relative((both.timed if timed else both.interval)(change)[0]), timed)


def _throughput(both: Pair) -> Interval:
    """Log change of tokens per second: acceptance varies with requests, step times with requests or with time, and a
    stretch of time with easy requests says nothing about the engine; so the two are taken apart."""

    def tokens(one: Floats, other: Floats) -> Floats:
        gained = (column(s, "timed_tokens") / column(s, "timed") for s in (other, one))
        return np.asarray(np.log(next(gained) / next(gained)))[..., None]

    def steps(one: Floats, other: Floats) -> Floats:
        mean = (column(s, "wt") / column(s, "w") for s in (other, one))
        return np.asarray(np.log(next(mean) / next(mean)))[..., None]

    return independent(both.interval(tokens)[0], both.timed(steps)[0])


def relative(logarithm: Interval) -> Interval:
    """An interval of a log ratio as one of a relative change."""
    ends = (None if end is None else float(np.expm1(end)) for end in (logarithm.low, logarithm.high))
    return Interval(float(np.expm1(logarithm.value)), *ends)


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _latency(both: Pair, name: str) -> Metric:
    sides = [_times(arm, name) for arm in (both.base, both.candidate)]
    values = [total(rows, "above") / total(rows, "below") if rows.height else None for rows in sides]
    if not values[0] or not values[1]:
        return Metric(name, values[0], values[1], None, True)
    # requests wait for each other: their latencies are not independent, so there is no interval
    return Metric(name, values[0], values[1], Interval(values[1] / values[0] - 1, None, None), True)


def _times(arm: Arm, name: str) -> pl.DataFrame:
    first, last, begun = pl.col("first_token_at"), pl.col("finished_at"), pl.col("arrived_at")
    above, below = {
        "time_to_first_token_s": (first - begun, pl.lit(1.0)),
        "request_s": (last - begun, pl.lit(1.0)),
        "time_per_output_token_ms": (1000 * (last - first), (pl.col("output_len") - 1).cast(pl.Float64)),
    }[name]
    rows = arm.timing.requests.select(above=above, below=below)
    return rows.filter((pl.col("above") >= 0) & (pl.col("below") > 0))


def _wrong(both: Pair) -> Metric:
    """Share of tested decisions that contradict the law; its change has no interval: one wrong decision is one too many."""
    shares = []
    for arm in (both.base, both.candidate):
        told = arm.found.audit
        judged = told["agree"] + told["disagree"] if told else 0
        shares.append(told["disagree"] / judged if told and judged else None)
    return Metric("wrong_decisions", shares[0], shares[1], None, False)
