"""What a step costs at every tau and batch bucket, in milliseconds or in steps of the target alone.

Measured where steps of that length were recorded, laid straight between measured lengths, and otherwise with the
verification priced as at the recorded length (it is bound by memory at small batches) and bounded by pricing it per token.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from sdtrace.tune.text import Floats, Ints

#: What a price rests on, the weakest last.
BASES = ("given", "measured", "fit", "assumed")
_GIVEN, _MEASURED, _FIT, _ASSUMED = range(4)

#: Steps of one length and bucket before their mean is a price.
ENOUGH = 20


@dataclass(frozen=True)
class Price:
    """`cost`, `low`, `high` (K, G) by tau and batch bucket, NaN where not known; `basis` (K): measured, fit, assumed, given.

    `plain` (G) is the cost of a step without a draft, NaN where nothing tells it; `unit` is ms or target steps.
    """

    unit: str
    taus: list[int]
    cost: Floats
    low: Floats
    high: Floats
    basis: list[str]
    plain: Floats
    why: str | None

    @property
    def known(self) -> bool:
        """Whether any bucket has a price."""
        return bool(np.isfinite(self.cost).any())


def price(
    sums: pl.DataFrame, taus: Sequence[int], buckets: int, baseline_ms: float | None, draft_cost: float | None
) -> Price:
    """Prices from `costs` sums; `baseline_ms` gives the step without a draft, `draft_cost` the price 1 + c k outright."""
    shape = (len(taus), buckets)
    k = np.array(taus, dtype=np.float64)
    if draft_cost is not None:
        cost = np.repeat(1.0 + draft_cost * k[:, None], buckets, axis=1)
        return Price("target steps", list(taus), cost, cost, cost, ["given"] * len(taus), np.ones(buckets), None)
    cost, low, high = (np.full(shape, np.nan) for _ in range(3))
    basis = np.full(len(taus), _GIVEN)
    plain = np.full(buckets, np.nan)
    for g in range(buckets):
        mine = sums.filter((pl.col("bucket") == g) & (pl.col("timed") >= ENOUGH)).sort("verified")
        if not mine.height:
            continue
        cost[:, g], low[:, g], high[:, g], how = _bucket(mine, k, baseline_ms)
        basis = np.maximum(basis, how)
        measured = baseline_ms is not None or bool((mine["verified"] == 0).any())
        plain[g] = cost[list(taus).index(0), g] if measured and 0 in taus else np.nan
    why = None if np.isfinite(cost).any() else "no step_ms: log it, or give --draft-cost"
    return Price("ms", list(taus), cost, low, high, [BASES[b] for b in basis], plain, why)


def _bucket(mine: pl.DataFrame, k: Floats, baseline_ms: float | None) -> tuple[Floats, Floats, Floats, Ints]:
    length = mine["verified"].to_numpy().astype(np.float64)
    mean = (mine["step_ms"] / mine["timed"]).to_numpy()
    if baseline_ms is not None:
        keep = length > 0
        length, mean = np.append(0.0, length[keep]), np.append(baseline_ms, mean[keep])
    exact = np.isin(k, length)
    if len(length) == 1:
        cost, low, high = _alone(mine, k, float(length[0]), float(mean[0]))
        return cost, low, high, np.where(exact, _MEASURED, _ASSUMED)
    inside = np.interp(k, length, mean)
    slope = (mean[-1] - mean[-2]) / (length[-1] - length[-2])
    cost = np.where(k > length[-1], mean[-1] + slope * (k - length[-1]), inside)
    first = (mean[1] - mean[0]) / (length[1] - length[0])
    cost = np.where(k < length[0], mean[0] - first * (length[0] - k), cost)
    within = (k >= length[0]) & (k <= length[-1])
    return cost, cost, cost, np.where(exact, _MEASURED, np.where(within, _FIT, _ASSUMED))


def _alone(mine: pl.DataFrame, k: Floats, at: float, mean: float) -> tuple[Floats, Floats, Floats]:
    """One recorded length: drafting is priced per token, verification as it was, or per verified token."""
    row = mine.row(0, named=True)
    if not row["split"]:
        nothing = np.where(k == at, mean, np.nan)
        return nothing, nothing, nothing
    draft, verify = row["draft_ms"] / row["split"] / max(at, 1.0), row["verify_ms"] / row["split"]
    flat = mean + draft * (k - at)
    scaled = flat + verify * ((1.0 + k) / (1.0 + at) - 1.0)
    return flat, np.minimum(flat, scaled), np.maximum(flat, scaled)


def costs(steps: pl.DataFrame) -> pl.DataFrame:
    """Sums over steps with `verified` and `bucket`: how many are timed, and their times. Adds up over batches."""
    verify = pl.coalesce("verify_ms", pl.col("step_ms") - pl.col("draft_ms"))
    split = pl.col("draft_ms").is_not_null() & pl.col("step_ms").is_not_null()
    return steps.group_by("verified", "bucket", maintain_order=True).agg(
        timed=pl.col("step_ms").is_not_null().sum().cast(pl.Int64),
        split=split.sum().cast(pl.Int64),
        step_ms=pl.col("step_ms").sum(),
        draft_ms=pl.col("draft_ms").filter(split).sum(),
        verify_ms=verify.filter(split).sum(),
    )
