"""Bounds and e-values of small counts, and false discoveries among many of them."""

import math

import numpy as np
import pytest

from sdtrace.stats.beta_binomial import CORRELATION, log_e_small, log_pmf, upper
from sdtrace.stats.discovery import bh, e_bh


@pytest.mark.slow
@pytest.mark.parametrize(("n", "mean"), [(12, 0.15), (90, 0.15), (90, 0.4), (400, 0.2)])
def test_the_e_value_against_a_working_drafter_has_a_mean_of_one_at_most(n: int, mean: float) -> None:
    from scipy import stats  # half a second

    weight = (1 - CORRELATION) / CORRELATION
    law = stats.betabinom(n, mean * weight, (1 - mean) * weight)
    assert log_pmf(3, n, mean, CORRELATION) == pytest.approx(law.logpmf(3), rel=1e-9)
    e = [math.exp(log_e_small([(x, n)], 0.15, (0.003, 0.02))) for x in range(n + 1)]
    whole = float(np.dot(law.pmf(range(n + 1)), e))
    assert whole == pytest.approx(1.0) if mean == 0.15 else whole < 1.0


@pytest.mark.slow  # scipy takes a second to import
def test_the_bound_of_a_share_covers_clopper_and_pearson() -> None:
    from scipy import stats

    for hits, trials in ((0, 396), (1, 211), (9, 2700), (30, 100)):
        exact = stats.beta.ppf(0.99, hits + 1, trials - hits)
        assert upper(hits, trials) >= exact - 1e-9
        assert upper(hits, trials) <= 1.35 * exact
    assert upper(0, 396) == pytest.approx(1 - 0.01 ** (1 / 396))


def test_false_discoveries_are_held_down() -> None:
    assert e_bh([math.log(v) for v in (500.0, 150.0, 40.0, 1.0)], 0.01) == [True, False, False, False]
    assert e_bh([math.log(v) for v in (450.0, 250.0, 140.0, 1.0)], 0.01) == [True, True, True, False]
    assert e_bh([], 0.01) == []
    assert bh([0.004, 0.001, 0.2, 0.0001], 0.01) == [True, True, False, True]
