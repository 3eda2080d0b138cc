"""One run, tuned: its curve, what its steps cost, the best tau overall, by batch bucket and by slice."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from sdtrace.schema.arrays import Floats, Ints
from sdtrace.stats.ratio import by_cluster, ratio
from sdtrace.tuning.curve import TAUS, Curve, Point, curve
from sdtrace.tuning.optimum import Optimum, optimum
from sdtrace.tuning.price import Price, price
from sdtrace.tuning.sample import Traffic, bucket_name

#: Requests and share of the tokens that a slice must have, and how many slices are told.
SLICE_REQUESTS, SLICE_SHARE, SLICES = 10, 0.02, 24


@dataclass(frozen=True)
class Asked:
    """What the user said: the price of a plain step, of a drafted token (in target steps), limits on latency (ms)."""

    baseline_ms: float | None = None
    draft_cost: float | None = None
    slo_tpot_ms: float | None = None
    slo_itl_ms: float | None = None


@dataclass(frozen=True)
class Part:
    """A slice or a batch bucket: its best tau, and tokens per step there and at the recorded tau."""

    where: dict[str, str]
    requests: int
    tokens: int
    current: float | None
    at_best: float | None
    best: Optimum | None


@dataclass(frozen=True)
class Tuned:
    """A run with everything that was worked out about it."""

    traffic: Traffic
    curve: Curve
    price: Price
    best: Optimum | None
    parts: list[Part] = field(default_factory=list)

    @property
    def run(self) -> Mapping[str, Any]:
        """The run line, {} where there was none."""
        return self.traffic.run

    def step_cost(self, tau: int) -> tuple[float | None, float | None, float | None]:
        """Mean cost of a step at `tau` and its two ends, over the buckets that have a price."""
        mean, price = partial(self._mean, tau), self.price
        return mean(price.cost), mean(price.low), mean(price.high)

    def _mean(self, tau: int, values: Floats) -> float | None:
        point = self.curve.at(tau)
        if point is None or point.steps is None:
            return None
        row = values[self.price.taus.index(tau)]
        known = np.isfinite(row)
        steps = point.steps.sum(axis=0)[known]
        return float(steps @ row[known] / steps.sum()) if steps.sum() else None

    @property
    def plain_cost(self) -> float | None:
        """Cost of a step without a draft, over the same tokens; None where nothing tells it in some bucket."""
        weight = self.curve.tokens.sum(axis=0)
        used = (weight > 0) & np.isfinite(self.price.cost).any(axis=0)
        if not used.any() or not np.isfinite(self.price.plain[used]).all():
            return None
        return float(weight[used] @ self.price.plain[used] / weight[used].sum())


def tuned(traffic: Traffic, asked: Asked, taus: tuple[int, ...] = TAUS) -> Tuned:
    """Everything about one run that needs no other run."""
    found = curve(traffic.text, traffic.run, traffic.laws, traffic.buckets, taus)
    grid = [point.tau for point in found.points]
    paid = price(traffic.times, grid, found.tokens.shape[1], asked.baseline_ms, asked.draft_cost)
    everyone = np.ones(len(found.tokens), dtype=bool)
    session = traffic.text.session
    best = _best(found, paid, everyone, None, session)
    return Tuned(traffic, found, paid, best, [*_batches(found, paid, session), *_slices(traffic, found, paid)])


def times(curve: Curve, paid: Price, bucket: int | None) -> tuple[Floats, dict[int, Floats]]:
    """Tokens (R), and the time of every identified tau (R), over the buckets that have a price: the upper end of it."""
    known = np.asarray(np.isfinite(paid.cost).all(axis=0))
    if bucket is not None:
        known &= np.arange(known.size) == bucket
    tokens = curve.tokens[:, known].sum(axis=1)
    times = {
        p.tau: p.steps[:, known] @ paid.high[paid.taus.index(p.tau), known]
        for p in curve.points
        if p.identified and p.steps is not None and known.any()
    }
    return tokens, times


def _best(curve: Curve, paid: Price, mask: Any, bucket: int | None, session: Ints) -> Optimum | None:
    """`session` (R): requests that go together are drawn together."""
    tokens, spent = times(curve, paid, bucket)
    used = mask & (tokens > 0)
    _, number = np.unique(session[used], return_inverse=True)
    drawn = {tau: by_cluster(time[used], number) for tau, time in spent.items()}
    return optimum(by_cluster(tokens[used], number), drawn, curve.current)


def _batches(curve: Curve, paid: Price, session: Ints) -> list[Part]:
    weight = curve.tokens.sum(axis=0)
    if (weight > 0).sum() < 2:
        return []
    everyone = np.ones(len(curve.tokens), dtype=bool)
    return [
        _part({"batch_size": bucket_name(int(g))}, curve, paid, everyone, int(g), session)
        for g in np.flatnonzero(weight >= SLICE_SHARE * weight.sum())
    ]


def _slices(traffic: Traffic, curve: Curve, paid: Price) -> list[Part]:
    """One part a tag value with enough requests, the largest first."""
    whole = curve.tokens.sum()
    parts = []
    for (key, value), members in slice_members(traffic).items():
        mask = np.isin(np.arange(len(curve.tokens)), members)
        share = curve.tokens[mask].sum() / whole
        if len(members) >= SLICE_REQUESTS and SLICE_SHARE <= share < 1.0:
            parts.append(_part({f"tags.{key}": value}, curve, paid, mask, None, traffic.text.session))
    return sorted(parts, key=lambda p: -p.tokens)[:SLICES]


def slice_members(traffic: Traffic) -> dict[tuple[str, str], list[int]]:
    """Requests by (tag, value)."""
    if "tags" not in traffic.text.steps.columns:
        return {}
    values: dict[tuple[str, str], list[int]] = {}
    first = np.searchsorted(traffic.text.request_of_step, np.arange(traffic.text.requests))
    for i, text in enumerate(traffic.text.steps["tags"].gather(first).to_list()):
        for key, value in _tags(text).items():
            values.setdefault((key, value), []).append(i)
    return values


def _tags(text: str | None) -> dict[str, str]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def _part(where: dict[str, str], curve: Curve, paid: Price, mask: Any, bucket: int | None, session: Ints) -> Part:
    best = _best(curve, paid, mask, bucket, session)
    per = [
        _per_step(curve, curve.at(tau), mask, bucket) for tau in (curve.current, best.tau if best is not None else None)
    ]
    tokens = _cut(curve.tokens, bucket)[mask]
    return Part(where, int((tokens > 0).sum()), int(tokens.sum()), per[0], per[1], best)


def _cut(values: Floats, bucket: int | None) -> Floats:
    return np.asarray(values.sum(axis=1) if bucket is None else values[:, bucket])


def _per_step(curve: Curve, point: Point | None, mask: Any, bucket: int | None) -> float | None:
    if point is None or point.steps is None or not point.identified:
        return None
    return ratio(_cut(curve.tokens, bucket)[mask], _cut(point.steps, bucket)[mask])[0]
