"""Tails of the binomial distribution against scipy's, also where a sum of whole numbers, or a power of a half, leaves the floats."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from sdtrace.stats.binomial import at_least, at_most

shares = st.floats(0.01, 0.99)


@given(st.integers(0, 300), st.integers(-2, 302), shares)
def test_both_tails(n: int, hits: int, share: float) -> None:
    assert at_least(hits, n, share) == pytest.approx(binom.sf(hits - 1, n, share), rel=1e-8, abs=1e-14)
    assert at_most(hits, n, share) == pytest.approx(binom.cdf(hits, n, share), rel=1e-8, abs=1e-14)


@pytest.mark.parametrize(("few", "of"), [(0, 6), (1, 15), (3, 40), (0, 25), (30, 400), (900, 10_000)])
def test_a_small_tail_is_as_exact(few: int, of: int) -> None:
    assert at_most(few, of, 0.25) == pytest.approx(binom.cdf(few, of, 0.25), rel=1e-8, abs=1e-300)


@pytest.mark.parametrize(("hits", "n"), [(1_030, 2_000), (5_200, 10_000), (50_400, 100_000), (100_000, 100_000)])
def test_the_sign_test_of_many(hits: int, n: int) -> None:
    assert at_least(hits, n) == pytest.approx(binom.sf(hits - 1, n, 0.5), rel=1e-8, abs=1e-300)
