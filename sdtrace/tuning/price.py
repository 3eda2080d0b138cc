"""What a step costs at every tau and batch bucket, in milliseconds or in steps of the target alone.

Measured where steps of that length were recorded, laid straight between measured lengths of the bucket, taken from the
staircase over verified tokens where draft lengths varied, and otherwise assumed: drafting priced per token, verification as
at the recorded length (it is bound by memory at small batches), bounded by pricing it per token.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from sdtrace.schema.arrays import Floats, Ints
from sdtrace.speed.baseline import Baseline, baseline
from sdtrace.speed.cost import ENOUGH, StepCost, step_cost

#: What a price rests on, the weakest last.
BASES = ("given", "measured", "fit", "assumed")
_GIVEN, _MEASURED, _FIT, _ASSUMED = range(4)


@dataclass(frozen=True)
class Price:
    """`cost`, `low`, `high` (K, G) by tau and batch bucket, NaN where not known; `basis` (K), see BASES.

    `plain` (G) is the cost of a step without a draft, NaN where nothing tells it, `error` its relative error (95%);
    `mean` (G): of the steps as they were recorded; `unit` is ms or target steps; `why` says what is missing.
    `equal`: what plain steps at equal batch take over `plain`, where acceptance and batch go together.
    """

    unit: str
    taus: list[int]
    cost: Floats
    low: Floats
    high: Floats
    basis: list[str]
    plain: Floats
    error: float
    why: str | None
    mean: Floats | None = None
    equal: float = 1.0

    @property
    def known(self) -> bool:
        """Whether any bucket has a price."""
        return bool(np.isfinite(self.cost).any())


@dataclass(frozen=True)
class Times:
    """Rows of the tally's frame `cost` (decoding steps): of the run, and of other runs of the same target."""

    mine: pl.DataFrame
    others: pl.DataFrame
    weather: float = 0.0  #: half of the 95% interval of ln(mean step) of the run

    def plain(self, baseline_ms: float | None) -> Baseline | None:
        """The price of a step without a draft, with what it rests on."""
        return baseline(self.mine, self.others, baseline_ms, self.weather) if self.mine.height else None


def price(
    times: Times, taus: Sequence[int], buckets: int, baseline_ms: float | None, draft_cost: float | None
) -> Price:
    """Prices of a run; `baseline_ms` gives the step without a draft, `draft_cost` the price 1 + c k outright."""
    k = np.array(taus, dtype=np.float64)
    if draft_cost is not None:
        cost = np.repeat(1.0 + draft_cost * k[:, None], buckets, axis=1)
        given = ["given"] * len(taus)
        return Price("target steps", list(taus), cost, cost, cost, given, np.ones(buckets), 0.0, None)
    cost, low, high = (np.full((len(taus), buckets), np.nan) for _ in range(3))
    basis, plain, error = np.full(len(taus), _GIVEN), np.full(buckets, np.nan), 0.0
    whole = np.full(buckets, np.nan)
    table, base = lengths(times.mine), times.plain(baseline_ms)
    model = step_cost(times.mine) if times.mine.height else None
    for g in range(buckets):
        mine = table.filter((pl.col("bucket") == g) & (pl.col("steps") >= ENOUGH)).sort("k")
        if not mine.height:
            continue
        batch = float(np.average(mine["batch"].to_numpy(), weights=mine["steps"].to_numpy()))
        whole[g] = np.average(mine["step_ms"].to_numpy(), weights=mine["steps"].to_numpy())
        if base is not None and base.plain is not None:
            # plain steps among the others had the same weather
            apart = times.weather if base.basis == "given" or base.own < 0.5 else 0.0
            plain[g], error = (
                float(base.plain(np.array([batch]))[0]),
                math.hypot(apart, 1.96 * base.error) + base.margin,
            )
        cost[:, g], low[:, g], high[:, g], how = _bucket(mine, k, plain[g], model, batch)
        basis = np.maximum(basis, how)
    why = None if np.isfinite(cost).any() else "no step_ms: log it, or give --draft-cost"
    return Price("ms", list(taus), cost, low, high, [BASES[b] for b in basis], plain, error, why, whole)


def lengths(cost: pl.DataFrame) -> pl.DataFrame:
    """By drafted tokens k and batch bucket: engine steps, mean batch, step_ms, draft_ms (exposed; null: not recorded)."""
    w = pl.col("w").sum()
    drafted = pl.col("has_d").sum() > 0.9 * w
    return cost.group_by(
        "k", pl.col("b").log(2.0).add(1e-9).floor().cast(pl.Int64).alias("bucket"), maintain_order=True
    ).agg(
        steps=w,
        batch=pl.col("timed").sum() / w,
        step_ms=pl.col("wt").sum() / w,
        draft_ms=pl.when(drafted).then((pl.col("wd").sum() - pl.col("wh").sum()).clip(0) / w),
    )


def _bucket(
    mine: pl.DataFrame, k: Floats, plain: float, model: StepCost | None, batch: float
) -> tuple[Floats, Floats, Floats, Ints]:
    length, mean = (mine[name].to_numpy().astype(np.float64) for name in ("k", "step_ms"))
    if np.isfinite(plain):
        length, mean = np.append(0.0, length[length > 0]), np.append(plain, mean[length > 0])
    exact = np.isin(k, length)
    if len(length) > 1:
        cost, how = _between(k, length, mean)
        return cost, cost, cost, np.where(exact, _MEASURED, how)
    stairs = [model.step(batch, float(one)) for one in k] if model is not None and model.draft_varied else []
    cost, low, high = _alone(mine, k, float(length[0]), float(mean[0]))
    for i, told in enumerate(stairs):
        if told is not None and not exact[i]:
            cost[i] = low[i] = high[i] = told
    fitted = np.array([told is not None for told in stairs] or [False] * len(k))
    return cost, low, high, np.where(exact, _MEASURED, np.where(fitted, _FIT, _ASSUMED))


def _between(k: Floats, length: Floats, mean: Floats) -> tuple[Floats, Ints]:
    """Straight lines through measured lengths, carried on beyond the ends, where they are assumed."""
    cost = np.interp(k, length, mean)
    last = (mean[-1] - mean[-2]) / (length[-1] - length[-2])
    first = (mean[1] - mean[0]) / (length[1] - length[0])
    cost = np.where(k > length[-1], mean[-1] + last * (k - length[-1]), cost)
    cost = np.where(k < length[0], mean[0] - first * (length[0] - k), cost)
    within = (k >= length[0]) & (k <= length[-1])
    return np.maximum(cost, 1e-9), np.where(within, _FIT, _ASSUMED)


def _alone(mine: pl.DataFrame, k: Floats, at: float, mean: float) -> tuple[Floats, Floats, Floats]:
    """One recorded length: drafting is priced per token, verification as it was, or per verified token."""
    row = mine.row(0, named=True)
    if row["draft_ms"] is None:
        known = np.where(k == at, mean, np.nan)
        return known, known.copy(), known.copy()
    flat = mean + row["draft_ms"] / max(at, 1.0) * (k - at)
    scaled = flat + (mean - row["draft_ms"]) * ((1.0 + k) / (1.0 + at) - 1.0)
    return flat, np.minimum(flat, scaled), np.maximum(flat, scaled)
