"""The closed forms against the tables of Leviathan et al. 2023 and published counts; exactness of every split."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdtrace.speed import formulas
from sdtrace.stats import lmdi

#: Table 1: acceptance, k, factor of operations, factor of speed, at no draft cost.
TABLE_1 = [
    (0.6, 2, 1.53, 1.96),
    (0.7, 3, 1.58, 2.53),
    (0.8, 2, 1.23, 2.44),
    (0.8, 5, 1.63, 3.69),
    (0.9, 2, 1.11, 2.71),
    (0.9, 10, 1.60, 6.86),
]
#: Tables 2 and 4: k, acceptance, c, expected factor as printed (from inputs rounded to two digits).
TABLES_2_AND_4 = [
    (7, 0.75, 0.02, 3.2),
    (7, 0.80, 0.04, 3.3),
    (7, 0.82, 0.11, 2.5),
    (7, 0.62, 0.02, 2.3),
    (5, 0.68, 0.04, 2.4),
    (3, 0.71, 0.11, 2.0),
    (5, 0.65, 0.02, 2.4),
    (5, 0.73, 0.04, 2.6),
    (3, 0.74, 0.11, 2.0),
    (5, 0.53, 0.02, 1.9),
    (3, 0.55, 0.04, 1.8),
    (3, 0.56, 0.11, 1.6),
]
#: The best k at a = .5, .6, .7, .8, .9 by c, and the factor there where it is known.
BEST = {
    0.01: ([5, 7, 9, 14, 24], [1.88, 2.30, 2.97, 4.23, 7.49]),
    0.02: ([4, 6, 8, 11, 19], None),
    0.05: ([3, 4, 6, 8, 13], [1.63, 1.92, 2.35, 3.09, 4.67]),
    0.1: ([2, 3, 4, 6, 10], None),
    0.2: ([1, 2, 3, 4, 7], [1.25, 1.40, 1.58, 1.87, 2.37]),
    0.3: ([1, 1, 2, 3, 5], None),
}
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9)


@pytest.mark.parametrize(("a", "k", "ops", "speed"), TABLE_1)
def test_table_1(a: float, k: int, ops: float, speed: float) -> None:
    assert formulas.operations(a, k, 0.0) == pytest.approx(ops, abs=0.0051)
    assert formulas.improvement(a, k, 0.0) == pytest.approx(speed, abs=0.0051)


@pytest.mark.parametrize(("k", "a", "c", "printed"), TABLES_2_AND_4)
def test_tables_2_and_4(k: int, a: float, c: float, printed: float) -> None:
    """Within what rounding a and c to two digits and the result to one can do."""
    low = formulas.improvement(a - 0.005, k, c + 0.005) - 0.05
    high = formulas.improvement(a + 0.005, k, max(c - 0.005, 0)) + 0.05
    assert low <= printed <= high


@pytest.mark.parametrize("c", list(BEST))
def test_best_tau(c: float) -> None:
    best, factors = BEST[c]
    assert [formulas.best_tau(a, c) for a in LEVELS] == best
    if factors is not None:
        found = [formulas.improvement(a, k, c) for a, k in zip(LEVELS, best, strict=True)]
        assert found == pytest.approx(factors, abs=0.0051)


def test_a_bigram_model_costs_nothing() -> None:
    assert formulas.improvement(0.2, 3, 0.0) == pytest.approx(1.25, abs=0.005)


def test_published_counts() -> None:
    """vLLM issue 26191: 4,816 drafts, 12,208 accepted; llama.cpp pull request 24536: 87 drafts, 167 of 259."""
    assert formulas.tokens_from_counts(4816, 12208) == pytest.approx(3.535, abs=5e-4)
    assert formulas.tokens_from_counts(87, 167) == pytest.approx(2.92, abs=5e-3)
    marginal = [0.805, 0.632, 0.483]
    assert formulas.tokens_from_survival(marginal) == pytest.approx(2.92, abs=5e-3)
    assert formulas.hazards(marginal) == pytest.approx([0.805, 0.785, 0.764], abs=1e-3)


def test_measured_rates_and_the_closed_form_differ() -> None:
    """Falling hazards: 2.457 tokens per step; the closed form at the pooled rate says 2.420 (theory 3)."""
    falling = [0.70, 0.62, 0.50, 0.38, 0.25, 0.15, 0.08]
    assert formulas.tokens_from_survival(formulas.survival(falling)) == pytest.approx(2.457, abs=5e-4)
    assert formulas.tokens_per_step(0.593, 7) == pytest.approx(2.420, abs=0.003)


@given(st.floats(0.0, 0.99), st.integers(0, 30))
def test_the_closed_form_is_the_sum_of_its_survival(a: float, k: int) -> None:
    marginal = formulas.survival([a] * k)
    assert formulas.tokens_per_step(a, k) == pytest.approx(formulas.tokens_from_survival(marginal))


def test_lmdi_fixture() -> None:
    parts = {"draft": (4, 5.5), "verify": (18, 22), "overhead": (2, 2.1)}
    found = lmdi.throughput_change((3.10, 2.60), parts)
    expected = {"acceptance": -0.17589, "draft": -0.05618, "verify": -0.14980, "overhead": -0.00375}
    assert {k: float(v) for k, v in found.items()} == pytest.approx(expected, abs=6e-6)
    assert sum(found.values()) == pytest.approx(math.log(2.60 / 29.6 / (3.10 / 24)), abs=1e-14)


part = st.one_of(st.just(0.0), st.floats(1e-3, 1e3))


tokens = st.floats(1, 16)
time = st.floats(0.01, 100)


@given(st.tuples(tokens, tokens, part, part, part, part, time, time))
def test_lmdi_leaves_nothing_over(x: tuple[float, ...]) -> None:
    parts = {"draft": (x[2], x[3]), "verify": (x[6], x[7]), "overhead": (x[4], x[5])}
    found = lmdi.throughput_change((x[0], x[1]), parts)
    before, after = x[2] + x[6] + x[4], x[3] + x[7] + x[5]
    assert sum(found.values()) == pytest.approx(math.log(x[1] / after) - math.log(x[0] / before), abs=1e-9)


def test_curve_and_batch_fixture() -> None:
    """v0 = 9 + .055 N, v1 = 10.2 + .055 N, N from 160 to 212: 1.20 + 2.86 = 4.06 ms."""

    def curve(arm: int, n: float) -> float:
        return (9, 10.2)[arm] + 0.055 * n

    found = lmdi.curve_and_batch(curve(0, 160), curve(0, 212), curve(1, 160), curve(1, 212))
    assert found == pytest.approx((1.20, 2.86))


def test_mix_and_within_fixture() -> None:
    mix, within = lmdi.mix_and_within(([0.5, 0.3, 0.2], [0.35, 0.3, 0.35]), ([3.6, 2.9, 2.1], [3.5, 2.9, 2.0]))
    assert float(mix.sum()) == pytest.approx(-0.225)
    assert float(within.sum()) == pytest.approx(-0.07)


@given(st.lists(st.tuples(*[st.floats(0.01, 1)] * 2, *[st.floats(1, 8)] * 2), min_size=1, max_size=8))
def test_mix_and_within_leave_nothing_over(rows: list[tuple[float, ...]]) -> None:
    table = np.array(rows).T
    share0, share1 = table[0] / table[0].sum(), table[1] / table[1].sum()
    mix, within = lmdi.mix_and_within((share0, share1), (table[2], table[3]))
    total = (share1 * table[3]).sum() - (share0 * table[2]).sum()
    assert float((mix + within).sum()) == pytest.approx(float(total), abs=1e-9)
