"""Acceptance that decays: with the length of the context, or with the age of a request."""

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.schema.arrays import Floats
from sdtrace.speed.finding import ENOUGH, LACKS, PICKED, Finding, low_rate, worst
from sdtrace.speed.strata import tag_levels
from sdtrace.speed.timing import Timing
from sdtrace.stats.jackknife import GROUPS, Interval, groups, jackknife, summed


def decays(timing: Timing, joined: pl.DataFrame) -> list[Finding]:
    """Acceptance regressed on context (per doubling) and on age in the request (per factor of 4) together.

    For the context within strata of a tag, because tasks differ in prompt length; one tag at a time, for strata of all of them
    hold a request each, and it must stand under every one. For the age within requests, because those that accept little
    live longest in steps, and would make any drafter look as if it decayed.
    """
    rows = joined.filter((pl.col("tested") > 0) & pl.col("context").is_not_null())
    if rows["tested"].sum() < 4 * ENOUGH:
        return []
    found = []
    for i, every in ((0, [[], *([tag] for tag in tag_levels(rows))]), (1, [["run_id", "request_id"]])):
        lost = [_lost(rows, i, strata) for strata in every]
        if all(one < -LACKS for one in lost):
            found.append((_context, _aging)[i](timing, rows, max(lost)))
    return found


def _lost(rows: pl.DataFrame, wanted: int, strata: list[str]) -> float:
    """Acceptance lost (negative) from one end of the axis to the other; 0 where it can be chance."""
    told_by = _slope(rows, wanted, strata)
    if told_by is None:
        return 0.0
    slope, span = told_by
    if slope.high is None or slope.value + PICKED / 2 * (slope.high - slope.value) >= 0:
        return 0.0
    return slope.value * span


def _slope(rows: pl.DataFrame, wanted: int, strata: list[str]) -> tuple[Interval, float] | None:
    """Slope of acceptance on context (0) or age (1) given the other one, within strata; and the range of its axis."""
    n, y = rows["tested"].to_numpy(), rows["accepted"].to_numpy()
    axes = [rows[name].to_numpy().astype(np.float64) for name in ("context", "age")]
    kind = rows.select(pl.struct(strata).rank("dense")).to_series().to_numpy().astype(np.int64) if strata else None
    share, *x = (_centred(values, n, kind) for values in (y / n, *axes))
    ends = [_quantiles(axis, n, (0.05, 0.95)) for axis in axes]
    used = [i for i in (0, 1) if ends[i][1] - ends[i][0] >= 1]
    if wanted not in used:
        return None
    columns = [n * x[i] * x[j] for i in used for j in used] + [n * x[i] * share for i in used]
    (group,) = groups([rows["session"]])
    size = len(used)

    def slopes(s: Floats) -> Floats:
        square = s[..., : size * size].reshape(*s.shape[:-1], size, size) + 1e-9 * np.eye(size)
        return np.asarray(np.linalg.solve(square, s[..., size * size :, None])[..., 0])

    fitted = jackknife(summed(group, np.stack(columns, axis=1), GROUPS), slopes)
    return fitted[used.index(wanted)], ends[wanted][1] - ends[wanted][0]


def _context(timing: Timing, rows: pl.DataFrame, lost: float) -> Finding:
    by = (
        rows.group_by("context", maintain_order=True)
        .agg(pl.col("accepted", "tested").sum())
        .filter(pl.col("tested") >= ENOUGH)
        .sort("context")
    )
    told_by = ", ".join(f"{a / t:.0%} at {2**c:,}" for c, a, t in by.iter_rows())
    rates = (by["accepted"] / by["tested"]).to_numpy()
    drops = np.diff(rates)
    cliff = int(np.argmin(drops)) if len(drops) else 0
    says = f"acceptance by context length: {told_by} tokens"
    if len(drops) > 1 and drops[cliff] < 0.7 * (rates[-1] - rates[0]):
        says += (
            f"; most of it at {2 ** by['context'][cliff + 1]:,}: look at the drafter's training length and RoPE scaling"
        )
    evidence = worst(rows.filter(pl.col("context") >= by["context"].max()), low_rate())
    return Finding(
        "long-context-decay", "statistical", says, max(float(timing.gains.get("acceptance") or 0.0), -lost), evidence
    )


def _aging(timing: Timing, rows: pl.DataFrame, lost: float) -> Finding:
    by = (
        rows.group_by("age", maintain_order=True)
        .agg(pl.col("accepted", "tested").sum())
        .filter(pl.col("tested") >= ENOUGH)
        .sort("age")
    )
    told_by = ", ".join(f"{a / t:.0%} from step {0 if age <= 1 else 4**age}" for age, a, t in by.iter_rows())
    says = f"it decays within a request at equal context: {told_by}; the drafter's cache drifts from the target's"
    advice = "compare the drafter's KV cache with a fresh one after some hundred steps; look at how rejected tokens are rolled back"
    evidence = worst(rows.filter(pl.col("age") == rows["age"].max()), low_rate())
    return Finding(
        "low-acceptance",
        "statistical",
        says,
        max(float(timing.gains.get("acceptance") or 0.0), -lost),
        evidence,
        advice,
    )


def _centred(values: Floats, weights: Floats, kind: npt.NDArray[np.int64] | None) -> Floats:
    """Values less their weighted mean, by stratum where strata are given."""
    kind = np.zeros(len(values), dtype=np.int64) if kind is None else kind
    total = np.bincount(kind, weights=weights)
    mean = np.bincount(kind, weights=weights * values) / np.where(total > 0, total, 1)
    return np.asarray(values - mean[kind])


def _quantiles(values: Floats, weights: Floats, shares: tuple[float, ...]) -> list[float]:
    order = np.argsort(values)
    along = np.cumsum(weights[order]) / weights.sum()
    return [float(values[order][min(int(np.searchsorted(along, share)), len(values) - 1)]) for share in shares]
