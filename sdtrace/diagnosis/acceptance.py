"""Acceptance figures with one definition each, and intervals that cluster by request."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import polars as pl

from sdtrace.counters.definitions import Totals, definitions

#: Laws whose acceptance is a coin with a known probability, so that expected and excess mean something.
CHANCE = ("ratio", "one-hot", "match", "tree-coin")


def acceptance(laws: pl.DataFrame, positions: pl.DataFrame, requests: pl.DataFrame) -> dict[str, Any] | None:
    """The `acceptance` section of the document from the rows of the chosen laws; None without a step.

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
            "rate_of_drafted": clustered(requests, "accepted", "drafted_counted"),
            "rate_of_tested": clustered(requests, "accepted", "tested"),
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
    names = ("drafting_counted", "drafted_counted", "accepted", "counted", "steps", "appended", "known_appended")
    drafting, drafted, accepted, counted, steps, appended, known = (float(v) for v in laws.select(names).sum().row(0))
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
    return [(excess - half) / n, (excess + half) / n]


def clustered(requests: pl.DataFrame, above: str, below: str) -> list[float] | None:
    """95% interval of sum(above) / sum(below) with requests as clusters; None with fewer than two requests.

    Ratio of sums with the linearised variance G/(G-1) sum e_i^2 / (sum D)^2, e_i = A_i - theta D_i (Cochran 1977), and
    Student's t with G - 1 degrees of freedom.
    """
    rows = requests.filter(pl.col(below) > 0)
    g, d = rows.height, float(rows[below].sum())
    if g < 2 or not d:
        return None
    theta = float(rows[above].sum()) / d
    squares = float(((rows[above] - theta * rows[below]) ** 2).sum())
    half = student(0.975, g - 1) * math.sqrt(g / (g - 1) * squares) / d
    return [theta - half, theta + half]


def student(level: float, freedom: int) -> float:
    """Quantile of Student's t by the Cornish-Fisher expansion, exact for 1 and 2 degrees (Abramowitz 26.7.5)."""
    if freedom == 1:
        return math.tan(math.pi * (level - 0.5))
    if freedom == 2:
        return (2 * level - 1) * math.sqrt(2 / (4 * level * (1 - level)))
    z, v = NormalDist().inv_cdf(level), float(freedom)
    terms: Sequence[float] = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / v**k for k, term in enumerate(terms, start=1))
