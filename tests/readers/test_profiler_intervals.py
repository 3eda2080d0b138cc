"""Intervals of time: joined, cut to windows, and the outermost of nested ones."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sdtrace.readers.profiler.intervals import outermost, union, within

INTERVALS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), max_size=12)


@given(INTERVALS, INTERVALS)
def test_intervals_by_counting(spans: list[tuple[int, int]], windows: list[tuple[int, int]]) -> None:
    """Held to a clock that ticks through every unit of time."""
    made = np.array([(a, a + n) for a, n in spans], dtype=np.float64).reshape(-1, 2)
    asked = np.array([(a, a + n) for a, n in windows], dtype=np.float64).reshape(-1, 2)
    covered = {t for a, n in spans for t in range(a, a + n)}
    merged = union(made)
    assert (merged[1:, 0] > merged[:-1, 1]).all()
    assert [len(covered & set(range(a, a + n))) for a, n in windows] == within(merged, asked).tolist()


def test_outermost() -> None:
    spans = np.array([[0, 10], [2, 4], [3, 5], [10, 12], [11, 20]], dtype=np.float64)
    owner = np.array([0.0, 1.0, 0.0, 1.0, 2.0])
    assert outermost(spans, owner).tolist() == [True, False, True, True, False]
