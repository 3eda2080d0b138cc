"""The best tau: the published table of optimal lengths, staircases, and what is said without times."""

import numpy as np
import pytest

from sdtrace.tuning.curve import curve
from sdtrace.tuning.optimum import optimum
from sdtrace.tuning.price import price
from sdtrace.tuning.run import Asked, tuned
from tests.made.text import at, coins, mixed, record, steady, traffic

#: Acceptance and price of a drafted token -> the optimal tau (Leviathan et al. 2023, equation for the improvement factor).
OPTIMAL = {
    0.01: (5, 7, 9, 14, 24), 0.02: (4, 6, 8, 11, 19), 0.05: (3, 4, 6, 8, 13), 0.1: (2, 3, 4, 6, 10),
    0.2: (1, 2, 3, 4, 7), 0.3: (1, 1, 2, 3, 5),
}  # fmt: skip


@pytest.mark.one_of(5)
@pytest.mark.parametrize("alpha", [0.5, 0.6, 0.7, 0.8, 0.9])
def test_the_table_of_optimal_lengths(alpha: float) -> None:
    made = traffic(record(steady(20, 1200, np.random.default_rng(8), alpha), 0, scored=True))
    found = curve(made.text, made.run, made.laws, made.buckets, tuple(range(26)))
    column = (0.5, 0.6, 0.7, 0.8, 0.9).index(alpha)
    for cost, best in OPTIMAL.items():
        paid = price(made.times, range(26), 1, None, cost)
        times = {p.tau: p.steps[:, 0] * paid.cost[p.tau, 0] for p in found.points if p.steps is not None}
        told = optimum(found.tokens[:, 0], times, None)
        assert told is not None
        speed = {tau: (1 - alpha ** (tau + 1)) / (1 - alpha) / (1 + cost * tau) for tau in range(26)}
        assert best[column] == max(speed, key=speed.__getitem__)
        assert abs(told.tau - best[column]) <= 1
        assert speed[told.tau] == pytest.approx(speed[best[column]], rel=0.002)
        assert at(found, told.tau).tokens_per_step == pytest.approx(speed[told.tau] * (1 + cost * told.tau), rel=0.02)


def test_the_best_over_a_staircase_is_the_best_of_all() -> None:
    """Verification is padded to 8 and 16 tokens: going up stops at 7 (0.3930 tokens a ms), the optimum is 12 (0.3976)."""
    k = np.arange(17)
    tokens, cost = np.cumsum(0.85**k), 9.3 + 0.32 * k + 0.8 * np.ceil((k + 1) / 8)
    rate = tokens / cost
    descent = next(i for i in range(16) if rate[i + 1] < rate[i])
    assert (rate[7], rate[12]) == pytest.approx((0.3930, 0.3976), abs=5e-5)
    emitted = np.full(40, 100.0)
    found = optimum(emitted, {i: emitted / tokens[i] * cost[i] for i in range(17)}, descent)
    assert found is not None
    assert (descent, found.tau) == (7, 12)
    assert found.gain == pytest.approx(rate[12] / rate[7] - 1)
    assert found.probability == 1.0


def test_no_speculation_is_a_candidate() -> None:
    run = tuned(
        traffic(record(steady(30, 200, np.random.default_rng(9), 0.1), 4, ms=(5.0, 20.0))), Asked(baseline_ms=20.0)
    )
    assert run.best is not None
    assert run.best.tau == 0
    assert run.best.gain is not None
    assert run.best.gain > 0.5


def test_prices_of_one_length_are_bounded() -> None:
    run = tuned(traffic(record(mixed(60, 100, np.random.default_rng(10)), 4, ms=(2.0, 20.0))), Asked())
    k, grid = run.price.taus.index, run.price
    assert grid.basis[k(4)] == "measured"
    assert grid.basis[k(2)] == "assumed"
    assert grid.cost[k(2), 0] == pytest.approx(24.0)
    assert grid.low[k(2), 0] == pytest.approx(24.0 - 20.0 * 2 / 5)
    assert grid.high[k(8), 0] == pytest.approx(36.0 + 20.0 * 4 / 5)
    assert run.plain_cost is None, "a step without a draft was never seen"


def test_without_times_only_tokens_are_told() -> None:
    run = tuned(traffic(record(coins(np.full((40, 60), 0.7), np.random.default_rng(11)), 4)), Asked())
    assert run.best is None
    assert run.price.why is not None
    assert at(run.curve, 2).tokens_per_step is not None
