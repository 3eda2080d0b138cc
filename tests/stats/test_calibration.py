"""What a statistic says when a part of it fires."""

from typing import Any

import pytest

from sdtrace.results.check import Counts
from sdtrace.stats.calibration import Words, calibrated

READ = calibrated(Words("the product", "positions", ""), parts=("order", "lenience"))


def row(code: str, d: float, n: int = 1200) -> dict[str, Any]:
    """Sums of a statistic whose terms have the variance 1/9."""
    head = {"run_id": "r", "law": "ratio", "code": code, "exact": True, "inflation": 1.0}
    bins = {f"{name}{i}": 0.0 for name in "dvs" for i in range(10)} | {f"e{i}": 0.0 for i in range(10)}
    return head | {"n": n, "d": d, "v": n / 9, "k": 0.0, "s": 0.0} | bins


@pytest.mark.parametrize("sign", [1, -1])
def test_a_part_that_fires_is_told_with_its_own_effect(sign: int) -> None:
    found = READ(Counts(1200, 1200, 0, (), sums=(row("SD225", 6.0), row("SD225:order", sign * 90.0)), level=1e-5))
    assert found.state == "fired"
    assert found.value == pytest.approx(sign * 0.075)
    assert f"off by {sign * 0.075:+.3f}" in found.headline
    (seen,) = found.witnesses
    assert seen["low"] * seen["high"] > 0  # an interval that holds 0 would contradict the chance beside it


def test_a_weighted_part_is_told_with_the_unweighted_effect() -> None:
    found = READ(Counts(1200, 1200, 0, (), sums=(row("SD201", 30.0), row("SD201:lenience", 500.0)), level=1e-5))
    assert found.state == "fired"
    assert found.value == pytest.approx(0.025)
