"""The speed of both sides where there are only counts: at the same load, with an interval that knows how little was seen."""

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from sdtrace.comparison.metrics import Metric, relative
from sdtrace.counters.speed import Speed
from sdtrace.results.numbers import figure
from sdtrace.schema.arrays import Floats
from sdtrace.stats.jackknife import Interval
from sdtrace.stats.ratio import student

#: What the logarithm of a speed varies by from one request, window or run to the next on an engine that did not change,
#: and what acceptance adds to it where both sides draft; as much evidence as _BEFORE rows have.
_NOISE, _ACCEPTANCE, _BEFORE = 0.06, 0.2, 8
#: Two starts of one engine differ by about this; neither of them shows it.
_RESTART = 0.02
#: Numbers of running requests within this factor are the same load.
_LOAD = 1.25
#: Below as many running requests a window can have been idle in part without a line that says so.
_FEW = 4.0


@dataclass(frozen=True)
class Compared:
    """Figures of speed that both sides have, the speed of a request first, and what stood in the way of others."""

    metrics: list[Metric]
    notes: list[str]


def compared(base: list[Speed], candidate: list[Speed], margin: float) -> Compared:
    """Speeds of the same kind, engine and surface where there are such, at loads that both sides had."""
    pairs = [(a, b) for a in base for b in candidate if a.kind == b.kind]
    pairs.sort(key=lambda p: (p[0].engine != p[1].engine, p[0].surface != p[1].surface, -p[0].rows.height))
    if not pairs:
        kinds = sorted({s.kind for s in base} | {s.kind for s in candidate})
        told = f"speed: the two sides print it in different ways ({' and '.join(kinds)})" if base and candidate else ""
        return Compared([], [told] if told else [])
    notes: list[str] = []
    for one, other in pairs:
        found = _matched(one, other)
        if isinstance(found, str):
            notes.append(found)
            continue
        return _metrics(one, other, found, margin)
    return Compared([], notes[:1])


def _matched(one: Speed, other: Speed) -> tuple[pl.DataFrame, pl.DataFrame] | str:
    """The rows of both sides at the same load, each with its `stratum`; a sentence where there is none."""
    sides = [s.rows.with_columns(stratum=_stratum()) for s in (one, other)]
    unknown = [s["stratum"].null_count() == s.height for s in sides]
    if any(unknown):
        if one.kind == "interval":
            return "speed: not compared, the number of running requests is not told"
        if all(unknown) or {round(s.running or 1.0, 1) for s in (one, other)} == {1.0}:
            return sides[0].with_columns(stratum=0), sides[1].with_columns(stratum=0)
        return "speed: not compared, one side does not tell how many requests ran at once"
    known = [s.drop_nulls("stratum") for s in sides]
    shared = set(known[0]["stratum"]) & set(known[1]["stratum"])
    same = [s.filter(pl.col("stratum").is_in(list(shared))) for s in known]
    if shared and all(2 * part.height >= min(whole.height, 8) for part, whole in zip(same, known, strict=True)):
        return same[0], same[1]
    loads = [s.running or 1.0 for s in (one, other)]
    if max(loads) <= _LOAD * min(loads):
        return known[0].with_columns(stratum=0), known[1].with_columns(stratum=0)
    return f"speed: not compared, {figure(loads[0])} requests ran at once in the base and {figure(loads[1])} in the candidate"


def _stratum() -> pl.Expr:
    """Loads within the factor are one number, most of them."""
    return (pl.col("running").log() / math.log(_LOAD)).round().cast(pl.Int64, strict=False)


def _metrics(one: Speed, other: Speed, rows: tuple[pl.DataFrame, pl.DataFrame], margin: float) -> Compared:
    notes = []
    single = one.kind == "request"
    loads = [
        s.with_columns(spent=pl.col("seconds") * (1.0 if single else pl.col("running").fill_null(1))) for s in rows
    ]
    known = all(s["running"].null_count() < s.height for s in loads)
    if not known:
        notes.append("speed: how many requests ran at once is not told; taken to be the same")
    change = _change(one, other, loads, "spent", margin)
    if not single and abs(change.value) > margin and _sometimes_as_fast(loads, change):
        notes.append(
            "speed: some stretches of the slower side are as fast as the faster one: idle time, or a change within"
        )
        change = Interval(change.value, None, None)
    found = [_metric("tokens_per_second", loads, "spent", change)]
    if not single and known:
        total = _change(one, other, loads, "seconds", margin)
        found.append(_metric("engine_tokens_per_second", loads, "seconds", total))
    steps = one.step_ms, other.step_ms
    if None not in steps:
        found.append(Metric("step_ms", *steps, None, True))
    return Compared(found, notes)


def _metric(name: str, sides: list[pl.DataFrame], spent: str, change: Interval) -> Metric:
    weights = _weights(sides)
    base, candidate = (_mean(side, spent, weights) for side in sides)
    return Metric(name, base, candidate, relative(change), True)


def _weights(sides: list[pl.DataFrame]) -> dict[int, float]:
    """Weight of each load: as precise as the side with fewer rows at it, n m / (n + m)."""
    counts = [dict(side.group_by("stratum").len().iter_rows()) for side in sides]
    raw = {k: n * counts[1][k] / (n + counts[1][k]) for k, n in counts[0].items() if k in counts[1]}
    return {k: w / sum(raw.values()) for k, w in raw.items()}


def _mean(side: pl.DataFrame, spent: str, weights: dict[int, float]) -> float:
    """Tokens over time at each load, averaged over the loads by weight."""
    sums = side.group_by("stratum").agg(pl.col("tokens", spent).sum())
    return math.fsum(weights[k] * tokens / time for k, tokens, time in sums.iter_rows() if k in weights)


def _change(one: Speed, other: Speed, sides: list[pl.DataFrame], spent: str, margin: float) -> Interval:
    """Log ratio of the means with Student's t: residuals within a load, shrunk to what is usual, neighbours in time alike.

    A change is held against what an unchanged engine does from run to run; the absence of one rests on the rows alone.
    """
    weights = _weights(sides)
    value = float(np.log(_mean(sides[1], spent, weights) / _mean(sides[0], spent, weights)))
    log = (pl.col("tokens") / pl.col(spent)).log()
    rests = [s.select("stratum", rest=log - log.mean().over("stratum")) for s in sides]
    changed = abs(np.expm1(value)) > margin
    usual, before = _NOISE**2, _BEFORE if changed else 1
    if changed and one.drafting and other.drafting:
        usual += _ACCEPTANCE**2 / max(one.running or 1.0, 1.0)
    freedom = before + sum(r.height - r["stratum"].n_unique() for r in rests)
    squares = before * usual + sum(float((r["rest"] ** 2).sum()) for r in rests)
    per_row = squares / freedom
    variance = 0.0
    for rest in rests:
        alike = _alike(rest["rest"].to_numpy())
        counts = dict(rest.group_by("stratum").len().iter_rows())
        variance += sum(w**2 * per_row * alike / counts[k] for k, w in weights.items())
    if changed:
        variance += 2 * _RESTART**2
    half = student(0.975, freedom) * float(np.sqrt(variance))
    return Interval(value, value - half, value + half)


def _alike(rest: Floats) -> float:
    """By how much rows that are like their neighbour widen the variance of a mean: (1 + r) / (1 - r), r of one step.

    Few rows show too little of r: its bias is -(1 + 4 r) / n (Marriott and Pope 1954).
    """
    n, squares = len(rest), float((rest**2).sum())
    if n < 4 or squares < 1e-12:
        return 1.0
    r = max(float((rest[1:] * rest[:-1]).sum()) / squares, 0.0)
    r = min(r + (1 + 4 * r) / n, 0.95)
    return min((1 + r) / (1 - r), float(n))


def _sometimes_as_fast(sides: list[pl.DataFrame], change: Interval) -> bool:
    """Whether, with few running requests, the fastest tenth of the slower side reaches the middle of the faster one."""
    few = [s.filter(pl.col("running").fill_null(1) < _FEW) for s in sides]
    if any(s.is_empty() for s in few) or any(2 * f.height < s.height for f, s in zip(few, sides, strict=True)):
        return False
    speed = [(s["tokens"] / s["spent"]).to_numpy() for s in few]
    slow, fast = (speed[1], speed[0]) if change.value < 0 else (speed[0], speed[1])
    return bool(np.quantile(slow, 0.9, method="higher") >= np.quantile(fast, 0.5, method="lower"))
