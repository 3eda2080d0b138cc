"""One run, tuned: its curve, what its steps cost, the best tau overall, by batch bucket and by slice."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from sdtrace.schema.arrays import Flags, Floats
from sdtrace.schema.json_values import json_object
from sdtrace.schema.run import Run
from sdtrace.stats.ratio import by_cluster, ratio
from sdtrace.tuning.curve import TAUS, Curve, Point, curve
from sdtrace.tuning.optimum import Optimum, optimum
from sdtrace.tuning.price import Price, price
from sdtrace.tuning.sample import Traffic, batches, between

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
class Whole:
    """What the report says of all steps: tokens per step with its interval, ms of a step and of a plain one, the speed-up."""

    tokens: float | None = None
    tokens_low: float | None = None
    tokens_high: float | None = None
    step_ms: float | None = None
    baseline_ms: float | None = None
    speedup: float | None = None
    speedup_low: float | None = None
    speedup_high: float | None = None

    @property
    def equal(self) -> float:
        """The speed-up over tokens x plain step / step: plain steps are compared at equal batch."""
        if not (self.speedup and self.step_ms and self.tokens and self.baseline_ms):
            return 1.0
        return self.speedup * self.step_ms / (self.tokens * self.baseline_ms)


@dataclass(frozen=True)
class Lift:
    """Figures of all steps over those of the sample: tokens per step, price of a drafting step and of a plain one."""

    tokens: float = 1.0
    cost: float = 1.0
    plain: float = 1.0


@dataclass(frozen=True)
class Part:
    """A slice or a batch bucket: its best tau, and tokens per step there and at the recorded tau. `batches`: of a bucket, the
    smallest and the largest."""

    where: dict[str, str]
    requests: int
    tokens: int
    current: float | None
    at_best: float | None
    best: Optimum | None
    batches: tuple[int, int] | None = None


@dataclass(frozen=True)
class Tuned:
    """A run with everything that was worked out about it."""

    traffic: Traffic
    curve: Curve
    price: Price
    best: Optimum | None
    parts: list[Part] = field(default_factory=list)
    whole: Whole | None = None
    lift: Lift = Lift()

    @property
    def run(self) -> Run:
        """The run line, {} where there was none."""
        return self.traffic.run

    def step_cost(self, tau: int) -> tuple[float | None, float | None, float | None]:
        """Mean cost of a step at `tau` and its two ends, over the buckets that have a price."""
        mean, price = partial(self._mean, tau), self.price
        return mean(price.cost), mean(price.low), mean(price.high)

    def _mean(self, tau: int, values: Floats) -> float | None:
        point = self.curve.at(tau)
        if point is None:
            return None
        taken = next(s for s in (point.steps, point.at_most, self.curve.begun) if s is not None)
        row = values[self.price.taus.index(tau)]
        known = np.isfinite(row)
        steps = taken.sum(axis=0)[known]
        return float(steps @ row[known] / steps.sum()) if steps.sum() else None

    @property
    def varied(self) -> bool:
        """Whether steps of several lengths have a time: the recorded way is none of the curve's."""
        return self.price.known and _recorded(self, None) is not None

    @property
    def plain_cost(self) -> float | None:
        """Cost of a step without a draft, over the same tokens; None where nothing tells it in some bucket."""
        weight = self.curve.tokens.sum(axis=0)
        used = (weight > 0) & np.isfinite(self.price.cost).any(axis=0)
        if not used.any() or not np.isfinite(self.price.plain[used]).all():
            return None
        return float(weight[used] @ self.price.plain[used] / weight[used].sum())


def tuned(traffic: Traffic, asked: Asked, taus: tuple[int, ...] = TAUS, whole: Whole | None = None) -> Tuned:
    """Everything about one run that needs no other run. `whole`: the figures of all its steps, which the sample is brought to."""
    found = curve(traffic.text, traffic.run, traffic.laws, traffic.buckets, taus)
    grid = [point.tau for point in found.points]
    paid = price(traffic.times, grid, found.tokens.shape[1], asked.baseline_ms, asked.draft_cost)
    made = Tuned(traffic, found, paid, None)
    if whole is not None:
        made = lifted(made, whole)
    everyone = np.ones(len(found.tokens), dtype=bool)
    best = _best(made, everyone, None)
    return replace(made, best=best, parts=[*_batches(made), *_slices(made)])


def lifted(run: Tuned, whole: Whole) -> Tuned:
    """The run with its curve and prices brought to the figures of all steps, by one factor each (ratio estimates, Cochran 1977).

    Where every step has one length the curve has the tokens per step, the step time and the speed-up of the report at that
    length; the price of a step without a draft is the report's in any case.
    """
    now, cost, plain = run.curve.at(run.curve.current), None, run.plain_cost
    tokens = dear = cheap = 1.0
    points = run.curve.points
    if now is not None and now.basis == "exact" and now.tokens_per_step and whole.tokens:
        tokens = whole.tokens / now.tokens_per_step
        points = [_scaled(p, tokens, whole if p is now else None) for p in points]
        cost = run.step_cost(now.tau)[0]
    priced = run.price
    if priced.unit == "ms":
        dear = whole.step_ms / cost if cost and whole.step_ms else 1.0
        cheap = whole.baseline_ms / plain if plain and whole.baseline_ms else dear
        priced = _repriced(priced, dear, cheap, equal=whole.equal if plain else 1.0)
    begun = run.curve.begun / tokens
    lift = Lift(tokens, dear, cheap)
    return replace(run, curve=replace(run.curve, points=points, begun=begun), price=priced, whole=whole, lift=lift)


def _scaled(point: Point, factor: float, whole: Whole | None) -> Point:
    if point.tau == 0:
        return point

    def more(value: float | None) -> float | None:
        return None if value is None else min(max(value * factor, 1.0), point.tau + 1.0)

    low, high = more(point.low), more(point.high)
    if whole is not None and whole.tokens_low is not None and whole.tokens_high is not None:
        low, high = whole.tokens_low, whole.tokens_high
    steps, fewest = (None if s is None else s / factor for s in (point.steps, point.at_most))
    value = whole.tokens if whole is not None else more(point.tokens_per_step)
    return replace(point, tokens_per_step=value, low=low, high=high, steps=steps, at_most=fewest)


def _repriced(paid: Price, dear: float, cheap: float, equal: float) -> Price:
    """Steps with a draft at `dear` times their price, those without one at `cheap` times theirs."""
    factor = np.array([cheap if tau == 0 and np.isfinite(paid.plain).any() else dear for tau in paid.taus])[:, None]
    cost, low, high = (values * factor for values in (paid.cost, paid.low, paid.high))
    mean = None if paid.mean is None else paid.mean * dear
    return replace(paid, cost=cost, low=low, high=high, plain=paid.plain * cheap, mean=mean, equal=equal)


def times(curve: Curve, paid: Price, bucket: int | None) -> tuple[Floats, dict[int, Floats]]:
    """Tokens (R), and the time (R) that every tau takes at most, over the buckets that have a price, for each tau with a figure
    or a least number of tokens per step."""
    known = _known(paid, bucket)
    tokens = curve.tokens[:, known].sum(axis=1)
    taken = {p.tau: p.steps if p.identified else p.at_most for p in curve.points}
    times = {
        tau: steps[:, known] @ paid.high[paid.taus.index(tau), known] * (paid.equal if tau == 0 else 1.0)
        for tau, steps in taken.items()
        if steps is not None and known.any()
    }
    return tokens, times


def _known(paid: Price, bucket: int | None) -> Flags:
    known = np.asarray(np.isfinite(paid.cost).all(axis=0))
    return known if bucket is None else known & (np.arange(known.size) == bucket)


def _recorded(run: Tuned, bucket: int | None) -> Floats | None:
    """The time (R) of the steps as they were; None where they had one length (its own figure), or no time."""
    now, paid = run.curve.at(run.curve.current), run.price
    if now is None or now.basis == "exact" or paid.mean is None:
        return None
    known = _known(paid, bucket)
    spent: Floats = run.curve.begun[:, known] @ paid.mean[known]
    whole = run.whole
    if whole is None or bucket is not None or not whole.step_ms or not whole.tokens or not spent.sum():
        return spent
    tokens = run.curve.tokens[:, known].sum()
    return spent * float(tokens * whole.step_ms / whole.tokens / spent.sum())


def _best(run: Tuned, mask: Flags, bucket: int | None) -> Optimum | None:
    """Requests of one session are drawn together. None where only a step without a draft has both a price and a figure, or where
    steps of several lengths were faster as they were."""
    tokens, spent = times(run.curve, run.price, bucket)
    now = _recorded(run, bucket)
    if now is None and run.curve.current not in spent and set(spent) <= {0}:
        return None
    used = mask & (tokens > 0)
    _, number = np.unique(run.traffic.text.session[used], return_inverse=True)
    drawn = {tau: by_cluster(time[used], number) for tau, time in spent.items()}
    recorded = None if now is None else by_cluster(now[used], number)
    best = optimum(by_cluster(tokens[used], number), drawn, run.curve.current, recorded)
    slower = best is not None and recorded is not None and (best.gain or 0.0) < 0
    return None if slower else best


def _batches(run: Tuned) -> list[Part]:
    weight = run.curve.tokens.sum(axis=0)
    if (weight > 0).sum() < 2:
        return []
    everyone = np.ones(len(run.curve.tokens), dtype=bool)
    return [
        _part(run, {"batch_size": between(*batches(int(g)))}, everyone, int(g))
        for g in np.flatnonzero(weight >= SLICE_SHARE * weight.sum())
    ]


def _slices(run: Tuned) -> list[Part]:
    """One part a tag value with enough requests, the largest first."""
    tokens = run.curve.tokens
    parts = []
    for (key, value), members in slice_members(run.traffic).items():
        mask = np.isin(np.arange(len(tokens)), members)
        share = tokens[mask].sum() / tokens.sum()
        if len(members) >= SLICE_REQUESTS and SLICE_SHARE <= share < 1.0:
            parts.append(_part(run, {f"tags.{key}": value}, mask, None))
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
    return {str(k): str(v) for k, v in json_object(text).items()}


def _part(run: Tuned, where: dict[str, str], mask: Flags, bucket: int | None) -> Part:
    curve, best = run.curve, _best(run, mask, bucket)
    per = [
        _per_step(curve, curve.at(tau), mask, bucket) for tau in (curve.current, best.tau if best is not None else None)
    ]
    tokens = _cut(curve.tokens, bucket)[mask]
    return Part(
        where,
        int((tokens > 0).sum()),
        int(tokens.sum()),
        per[0],
        per[1],
        best,
        None if bucket is None else batches(bucket),
    )


def _cut(values: Floats, bucket: int | None) -> Floats:
    return np.asarray(values.sum(axis=1) if bucket is None else values[:, bucket])


def _per_step(curve: Curve, point: Point | None, mask: Any, bucket: int | None) -> float | None:
    if point is None or point.steps is None or not point.identified:
        return None
    return ratio(_cut(curve.tokens, bucket)[mask], _cut(point.steps, bucket)[mask])[0]
