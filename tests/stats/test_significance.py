"""Sums of little variance: those with terms within [-1, 1] may tell, weighted ones never do."""

from typing import Any

import numpy as np
import pytest

from sdtrace.stats.significance import INFORMATION, read

LEVEL = 1e-3


def row(values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, Any]:
    said = {
        "code": "x",
        "n": len(values),
        "d": float(values.sum()),
        "v": float((values**2).sum()),
        "s": 0.0,
        "k": 0.0,
        "exact": False,
    }
    return said | {"inflation": 1.0}


@pytest.mark.one_of(3)
@pytest.mark.parametrize("chance", [0.001, 0.01, 0.1])
@pytest.mark.parametrize("n", [10, 100, 1000])
def test_a_sound_sum_hardly_ever_fires(chance: float, n: int) -> None:
    rng = np.random.default_rng(n)
    made = [np.where(rng.random(n) < chance, 1 - chance, -chance) for _ in range(3000)]
    small = [row(one) for one in made if (one**2).sum() < INFORMATION]
    assert sum(read(one, LEVEL, unit=True).fires(LEVEL, 0.0) for one in small) <= 3000 * LEVEL


def test_many_small_terms_of_one_sign_tell() -> None:
    found = read(row(np.full(4000, -0.02)), LEVEL, unit=True)
    assert not found.enough
    assert found.fires(LEVEL)


@pytest.mark.parametrize("inflation", [1.0, 1.5])
def test_two_terms_of_great_weight_do_not(inflation: float) -> None:
    """Of twenty that are accepted with a chance of .999, weighed by 10, two are rejected with a chance of 2 in 10,000."""
    values = np.array([0.01] * 18 + [-9.99] * 2)
    found = read(row(values) | {"v": 20 * 100 * 0.001 * 0.999}, LEVEL, inflation, unit=inflation > 1)
    assert not found.fires(LEVEL)
