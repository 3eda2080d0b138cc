"""Figures for people: no exponent, thousands whole, seconds from a second on."""

import pytest

from sdtrace.render.text import figure as named
from sdtrace.render.text import number
from sdtrace.results.numbers import figure, ms


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1286.4, "1.29 s"),
        (999.7, "1 s"),
        (971.2, "971 ms"),
        (41.58, "41.6 ms"),
        (0.031, "0.031 ms"),
        (65432.0, "65.4 s"),
    ],
)
def test_milliseconds(value: float, said: str) -> None:
    assert ms(value) == said
    assert named("step_ms", value) == said


@pytest.mark.parametrize(
    ("value", "said"), [(1286.4, "1,286"), (0.0312, "0.0312"), (12345.6, "12,346"), (2.684, "2.68"), (999.7, "1,000")]
)
def test_figures(value: float, said: str) -> None:
    assert figure(value) == said
    assert "e" not in number(value)
