"""Changes of a series: none where nothing changed, at their time where something did, slow ones as slow."""

from collections.abc import Callable

import numpy as np
import pytest

from sdtrace.schema.arrays import Floats
from sdtrace.stats.turns import chance_of, turns

N = 600.0


def steady(rng: np.random.Generator, m: int) -> Floats:
    return rng.binomial(int(N), 0.68, m) / N


def mixed(rng: np.random.Generator, m: int) -> Floats:
    """Each window has its own mixture of requests: more spread than counts have."""
    return rng.binomial(int(N), rng.beta(20, 10, m)) / N


def bursty(rng: np.random.Generator, m: int) -> Floats:
    """Traffic that stays alike for some windows: neighbours err together."""
    noise = np.zeros(m)
    for i in range(1, m):
        noise[i] = 0.7 * noise[i - 1] + rng.normal(0, 0.04)
    return rng.binomial(int(N), np.clip(0.66 + noise, 0.05, 0.95)) / N


@pytest.mark.one_of(3)
@pytest.mark.parametrize("made", [steady, mixed, bursty])
def test_nothing_changes_where_nothing_changed(made: Callable[[np.random.Generator, int], Floats]) -> None:
    rng = np.random.default_rng(7)
    found = [turns(made(rng, m), np.full(m, N), 1e-3, counts=True) for m in (8, 20, 60) for _ in range(25)]
    assert sum(map(bool, found)) <= 1


@pytest.mark.one_of(6)
@pytest.mark.parametrize(
    ("made", "m", "cut"),
    [(steady, 12, 8), (steady, 40, 5), (mixed, 40, 5), (mixed, 60, 30), (mixed, 60, 55), (bursty, 60, 30)],
)
def test_a_step_is_dated_within_two_windows(
    made: Callable[[np.random.Generator, int], Floats], m: int, cut: int
) -> None:
    rng = np.random.default_rng(11)
    off = []
    for _ in range(20):
        value = made(rng, m)
        value[cut:] *= 0.4
        found = turns(value, np.full(m, N), 1e-3, counts=True)
        off.append(min((abs(t.first - cut) for t in found), default=m))
    assert sum(o <= 2 for o in off) >= 19


def test_an_outage_that_ended_has_both_ends() -> None:
    rng = np.random.default_rng(3)
    value = mixed(rng, 60)
    value[20:26] = 0.0
    found = turns(value, np.full(60, N), 1e-3, counts=True)
    assert [(t.last, t.first) for t in found] == [(19, 20), (25, 26)]
    assert found[0].after == found[1].before == 0


def test_a_slow_decline_is_one_change() -> None:
    share = np.array([0.81, 0.795, 0.778, 0.745, 0.713, 0.65, 0.565, 0.46, 0.37, 0.292, 0.25, 0.208, 0.193, 0.178])
    (turn,) = turns(share, np.full(14, N), 1e-3, counts=True)
    assert turn.slow
    assert turn.last in range(6)
    assert turn.before == pytest.approx(0.8, abs=0.03)
    assert turn.after == pytest.approx(0.2, abs=0.03)


def test_too_few_points_say_nothing() -> None:
    assert turns(np.array([0.7, 0.7, 0.0, 0.0]), np.full(4, N), 1e-3, counts=True) == []


def test_the_tail_is_students() -> None:
    """Table values: t(5) = 4.032 at 1%, t(12) = 3.055 at 1%."""
    assert chance_of(4.032, 5) == pytest.approx(0.01, rel=0.05)
    assert chance_of(3.055, 12) == pytest.approx(0.01, rel=0.05)
