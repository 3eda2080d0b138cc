"""Acceptance figures with one definition each, and intervals that cluster by request."""

import math
from typing import Any

import polars as pl

from sdtrace.counters.definitions import Totals, definitions
from sdtrace.stats.ratio import clustered
from sdtrace.verify.laws import where

#: Laws whose acceptance is a coin with a known probability, so that expected and excess mean something.
CHANCE = sorted(where(lambda law: law.calibrated))


def acceptance(laws: pl.DataFrame, positions: pl.DataFrame, requests: pl.DataFrame) -> dict[str, Any] | None:
    """The `acceptance` section of the document from the rows of the chosen laws; None without a step. `requests` has `session`.

    tokens_per_step = appended / steps with recorded output (n_a + 1 where it is not recorded); rate_of_drafted =
    accepted / drafted, in steps that tell what was accepted; rate_of_tested = accepted / tested;
    marginal_by_position[j] = steps that accepted position j / steps that drafted; conditional_by_position[j] =
    accepted / tested at j; expected_rate = mean of min(1, p/q) over tested positions; excess = accepted - expected rate
    there, which is the total-variation bias per tested position under a correct residual (theory: acceptance -
    (1 - TV), Leviathan et al. 2023).
    """
    total = laws.select(pl.col(pl.Int64, pl.Float64).exclude("first_at", "last_at").sum()).to_dicts()[0]
    if not total["steps"]:
        return None
    chance = laws.filter(pl.col("law").is_in(CHANCE)).select(
        pl.col("expected", "observed", "variance", "expected_n").sum()
    )
    expected, observed, variance, n = chance.row(0)
    by_position = _by_position(positions)
    appended, per = _appended(total)
    return {
        "steps": int(total["steps"]),
        "drafted": int(total["drafted"]),
        "tested": int(total["tested"]),
        "accepted": int(total["accepted"]) if total["counted"] else None,
        "tokens_per_step": _ratio(appended, per),
        "per": "step",
        "rate_of_drafted": _ratio(total["accepted"], total["drafted_counted"]),
        "rate_of_tested": _ratio(total["accepted"], total["tested"]),
        "marginal_by_position": [_ratio(a, total["drafting_counted"]) for a in by_position["accepted"]],
        "conditional_by_position": [
            _ratio(a, t) for a, t in zip(by_position["accepted"], by_position["tested"], strict=True)
        ],
        "expected_rate": _ratio(expected, n),
        "excess": _ratio(observed - expected, n),
        "ci": {
            "level": 0.95,
            "tokens_per_step": clustered(requests, "appended", "known_appended"),
            "rate_of_drafted": clustered(requests, "accepted", "drafted_counted", rate=True),
            "rate_of_tested": clustered(requests, "accepted", "tested", rate=True),
            "excess": _excess_interval(observed - expected, variance, n),
        },
        "expected_tokens_per_step": _ratio(appended - (observed - expected), per) if n else None,
        "definitions": {
            d.key: d.value
            for d in definitions(totals(laws, positions, requests) or Totals(None, None, None, None, None))
        },
    }


def totals(laws: pl.DataFrame, positions: pl.DataFrame, requests: pl.DataFrame) -> Totals | None:
    """The counts that every engine's definitions are made of; None where no step tells what was accepted."""
    names = (
        "drafting_counted",
        "drafted_counted",
        "accepted",
        "counted",
        "steps",
        "appended",
        "known_appended",
        "idle",
    )
    sums = (float(v) for v in laws.select(names).sum().row(0))
    drafting, drafted, accepted, counted, steps, appended, known, idle = sums
    steps -= idle
    if not counted:
        return None
    told = requests.filter(pl.col("drafting_counted") > 0)
    per = told.select(1 + pl.col("accepted") / pl.col("drafting_counted")).to_series()
    deepest = positions.select(pl.col("position").max()).item()
    k = None if deepest is None else float(deepest) + 1
    return Totals(drafting, drafted, accepted, appended if known == steps else None, k, steps, per.to_list())


def _appended(total: dict[str, Any]) -> tuple[float, float]:
    if total["known_appended"]:
        return total["appended"], total["known_appended"]
    return total["accepted"] + total["counted"], total["counted"]


def _by_position(positions: pl.DataFrame) -> dict[str, list[float]]:
    if positions.is_empty():
        return {"accepted": [], "tested": []}
    table = (
        positions.group_by("position", maintain_order=True)
        .agg(pl.col("accepted", "tested").sum())
        .sort("position")
        .head(64)
    )
    return {"accepted": table["accepted"].to_list(), "tested": table["tested"].to_list()}


def _ratio(above: float, below: float) -> float | None:
    return above / below if below else None


def _excess_interval(excess: float, variance: float, n: float) -> list[float] | None:
    """a - beta is a martingale difference with variance beta (1 - beta), so no clustering is needed under the law."""
    if not n or variance <= 0:
        return None
    half = 1.96 * math.sqrt(variance)
    return [max((excess - half) / n, -1.0), min((excess + half) / n, 1.0)]
