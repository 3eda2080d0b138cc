"""Which drafter for which traffic, when none, and what another drafter would have to reach to pay."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from sdtrace.schema.arrays import Floats
from sdtrace.schema.json_values import Json
from sdtrace.tuning.optimum import weights
from sdtrace.tuning.price import lengths
from sdtrace.tuning.run import Tuned, slice_members, times

#: Share of the requests that two traces must have in common to be called the same traffic.
SHARED = 0.5
#: Prices of a drafted token that are tried, as multiples of the recorded one.
MULTIPLES = (0.25, 0.5, 1.0, 2.0, 4.0)


def drafter(run: Tuned) -> str:
    """How the drafter of a run is called."""
    named = [name for name in (run.run.method, run.run.draft_model) if name]
    return ": ".join(named) or f"run {run.traffic.run_id}"


def roles(runs: Sequence[Tuned]) -> tuple[Json | None, str | None]:
    """Drafters compared on the slices that all of them served, and why not where there is nothing to compare."""
    names = [drafter(run) for run in runs]
    if len(set(names)) < 2:
        return None, None
    priced = [run for run in runs if run.price.known and run.best is not None]
    if len({drafter(run) for run in priced}) < 2 or len({run.price.unit for run in priced}) > 1:
        return None, "roles: two drafters need step times each (or give --draft-cost for a single one)"
    ids = [set(run.traffic.text.steps["request_id"]) for run in priced]
    common = set.intersection(*ids)
    same = len(common) >= SHARED * min(len(i) for i in ids)
    rows = _rows(priced, {}, [_everyone(run) for run in priced])
    for key in sorted(set.intersection(*(set(slice_members(run.traffic)) for run in priced))):
        masks = [_mask(run, slice_members(run.traffic)[key]) for run in priced]
        if min(int(mask.sum()) for mask in masks) >= 5:
            rows += _rows(priced, {f"tags.{key[0]}": key[1]}, masks)
    traffic = f"{len(common):,} requests are in all of these traces"
    if not same:
        traffic = "the traces hold different requests: a difference between drafters may be one of traffic"
    return {"rows": rows, "same_traffic": same, "traffic": traffic}, None


def _everyone(run: Tuned) -> Any:
    return np.ones(len(run.curve.tokens), dtype=bool)


def _mask(run: Tuned, members: Sequence[int]) -> Any:
    return np.isin(np.arange(len(run.curve.tokens)), members)


def _rows(runs: Sequence[Tuned], where: dict[str, str], masks: Sequence[Any]) -> list[Json]:
    """One row a drafter, and which of them (or none) is the cheapest per token, with its share of the bootstrap."""
    made, drawn = [], []
    for run, mask in zip(runs, masks, strict=True):
        tokens, spent = times(run.curve, run.price, None)
        used = mask & (tokens > 0)
        per = {tau: float(t[used].sum() / tokens[used].sum()) for tau, t in spent.items() if tau > 0}
        if not per:
            continue
        tau = min(per, key=lambda k: per[k])
        point = run.curve.at(tau)
        drawn.append(_draw(tokens[used], spent[tau][used]))
        made.append(
            {
                "where": where,
                "drafter": drafter(run),
                "run_id": run.traffic.run_id,
                "tau": tau,
                "cost_per_token": per[tau],
                "speedup": run.plain_cost / per[tau] if run.plain_cost is not None else None,
                "basis": point.basis if point is not None else None,
            }
        )
    if not made:
        return []
    plain = next((run.plain_cost for run in runs if run.plain_cost is not None), None)
    table = np.stack([*drawn, np.full(len(drawn[0]), plain if plain is not None else np.inf)], axis=1)
    won = np.argmin(table, axis=1)
    for i, row in enumerate(made):
        row["probability"] = float(np.mean(won == i))
    nobody = {"where": where, "drafter": "none", "run_id": None, "tau": 0, "cost_per_token": plain, "basis": "exact"}
    nobody |= {"speedup": 1.0, "probability": float(np.mean(won == len(made)))}
    return [*made, nobody] if plain is not None else made


def _draw(tokens: Floats, spent: Floats) -> Floats:
    """Cost per token in each draw of the bootstrap."""
    weight = weights(len(tokens))
    return np.asarray((weight @ spent) / (weight @ tokens))


def iso(run: Tuned, given: float | None) -> list[Json]:
    """The acceptance that a drafter of another price would need for the speed-up of now, and to pay at all.

    Geometric drafts over the recorded cost of steps, of which the drafter's part is made dearer or cheaper:
    S(a) = max over k of (1 - a^(k+1)) / ((1 - a) c(k)), Leviathan et al. 2023 with their 1 + c k replaced by c(k).
    """
    price, plain = given if given is not None else _draft_price(run), run.plain_cost
    speeds = [_speedup(run, p.tau) for p in run.curve.points if p.identified]
    best = max((s for s in speeds if s is not None), default=None)
    if price is None or plain is None or best is None or price <= 0:
        return []
    taus = [p.tau for p in run.curve.points if run.step_cost(p.tau)[0] is not None]
    k = np.array(taus, dtype=np.float64)
    now = np.array([run.step_cost(tau)[0] for tau in taus], dtype=np.float64) / plain
    return [
        {
            "multiple": multiple,
            "draft_cost": price * multiple,
            "acceptance_to_match": needed(max(best, 1.0 + 1e-9), k, now + price * (multiple - 1.0) * k),
            "acceptance_to_pay": needed(1.0 + 1e-9, k, now + price * (multiple - 1.0) * k),
        }
        for multiple in MULTIPLES
    ]


def _draft_price(run: Tuned) -> float | None:
    """One drafted token in steps of the target."""
    table = lengths(run.traffic.times.mine).filter((pl.col("k") > 0) & pl.col("draft_ms").is_not_null())
    if run.plain_cost is None or table.is_empty():
        return None
    drafted = float((table["steps"] * table["k"]).sum())
    return float((table["steps"] * table["draft_ms"]).sum()) / drafted / run.plain_cost


def _speedup(run: Tuned, tau: int) -> float | None:
    point, cost, plain = run.curve.at(tau), run.step_cost(tau)[0], run.plain_cost
    if point is None or point.tokens_per_step is None or not cost or plain is None:
        return None
    return point.tokens_per_step * plain * (run.price.equal if tau else 1.0) / cost


def geometric(a: float, taus: Floats, costs: Floats) -> float:
    """max over tau of (1 - a^(tau+1)) / (1 - a) / cost."""
    tokens = (1.0 - a ** (taus + 1.0)) / (1.0 - a)
    return float(np.max(tokens / costs))


def needed(speedup: float, taus: Floats, costs: Floats) -> float | None:
    """The least acceptance at which `geometric` reaches a speed-up; None where none below .999 does."""
    low, high = 0.0, 0.999
    if geometric(high, taus, costs) < speedup:
        return None
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if geometric(middle, taus, costs) >= speedup else (middle, high)
    return high
