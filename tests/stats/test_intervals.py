"""Intervals hold the truth as often as they say: a server with weather, requests in sessions, few of them, shares near 0 and 1."""

import numpy as np
import polars as pl
import pytest

from sdtrace.stats.jackknife import jackknife
from sdtrace.stats.ratio import FEWEST, by_cluster, clustered, ratio, student
from sdtrace.stats.wander import wander
from tests.coverage.made import weather

TIMES = 250
#: What 95% may be after that many repetitions.
BETWEEN = (0.915, 0.99)


@pytest.mark.one_of(3)
@pytest.mark.parametrize(("steps", "spread"), [(900, 0.0), (900, 0.1), (300, 0.1)])
def test_a_mean_step_knows_the_weather(steps: int, spread: float) -> None:
    """AR(.98) weather: nine hundred steps are worth some nine."""
    truth, held, few = 20 * np.exp((spread**2 + 0.03**2) / 2), 0, 0
    for seed in range(TIMES):
        rng = np.random.default_rng([seed, steps])
        ms = 20 * np.exp(spread * weather(rng, steps) + rng.normal(0, 0.03, steps))
        found = wander(((ms - ms.mean()) / ms.sum())[:, None])
        assert found is not None
        off = abs(np.log(ms.mean() / truth))
        held += off <= student(0.975, max(int(found[1][0]), 2)) * np.sqrt(found[0][0])
        few += off <= 1.96 * ms.std() / ms.mean() / np.sqrt(steps)
    assert BETWEEN[0] <= held / TIMES <= BETWEEN[1]
    if spread:
        assert few / TIMES < 0.5  # as if steps were independent


def test_too_few_stretches_tell_nothing_of_the_weather() -> None:
    assert wander(np.ones((7, 1))) is None


@pytest.mark.slow
def test_sessions_are_the_clusters() -> None:
    """Requests of one session are alike: taken one by one they promise too much."""
    by_session = by_request = 0
    for seed in range(TIMES):
        rng = np.random.default_rng([seed, 8])
        session = np.arange(120) // 6
        chance = 1 / (1 + np.exp(-(1.0 + 0.6 * rng.standard_normal(20)[session])))
        n = rng.integers(60, 120, 120).astype(np.float64)
        accepted = rng.binomial(n.astype(int), chance).astype(np.float64)
        truth = 0.7128  # of 1 / (1 + exp(-(1 + 0.6 z))) over z
        rows = pl.DataFrame({"a": accepted, "n": n, "session": session})
        ends = clustered(rows, "a", "n", rate=True)
        assert ends is not None
        by_session += ends[0] <= truth <= ends[1]
        value, half = ratio(accepted, n)
        assert value is not None
        assert half is not None
        by_request += abs(value - truth) <= half
        assert ratio(by_cluster(accepted, session), by_cluster(n, session))[0] == pytest.approx(value)
    assert BETWEEN[0] <= by_session / TIMES <= BETWEEN[1]
    assert by_request / TIMES < 0.75


def test_rates_stay_in_what_is_possible() -> None:
    rows = pl.DataFrame({"a": [10.0] * 9 + [0.0], "n": [10.0] * 10})
    ends = clustered(rows, "a", "n", rate=True)
    assert ends is not None
    assert ends[0] >= 0
    assert ends[1] == 1.0


def test_too_few_groups_have_no_interval() -> None:
    sums = np.random.default_rng(1).random((FEWEST - 1, 2)) + 1
    (few,) = jackknife(sums, lambda s: s[..., :1] / s[..., 1:])
    assert few.ends is None
    (enough,) = jackknife(np.vstack([sums, sums[:1]]), lambda s: s[..., :1] / s[..., 1:])
    assert enough.ends is not None
