"""Figures for people: no exponent, thousands whole, seconds from a second on; one recommendation of a draft length."""

import pytest

from sdtrace.render.text import figure as named
from sdtrace.render.text import number
from sdtrace.results.numbers import figure, ms
from sdtrace.tuning.attach import one_length


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


def document(cause: str, headline: str) -> dict[str, object]:
    row = {"cause": cause, "headline": headline, "effect": "without it throughput would be up to 93% higher"}
    return {"causes": [row], "verdict": {"headline": f"{headline}; since 10:00:00"}}


LARGE = "too many tokens are drafted a step: position 3 is accepted in 3% of the steps; 1 instead of 4 drafted tokens would gain 93%"


def test_a_cause_recommends_what_the_curve_does() -> None:
    tuning = {"tau": {"best": 0, "current": 4, "gain": 0.59}}
    made = one_length(document("tau-too-large", LARGE), tuning)
    said = made["causes"][0]["headline"]
    assert said.endswith("in 3% of the steps; the best draft length is 0 instead of 4: +59% speed")
    assert "93%" not in str(made)
    assert made["verdict"]["headline"] == f"{said}; since 10:00:00"


@pytest.mark.parametrize(
    "tau", [None, {"best": None, "current": 4, "gain": None}, {"best": 5, "current": 4, "gain": 0.1}]
)
def test_where_the_curve_has_no_such_length_the_cause_says_its_own(tau: dict[str, object] | None) -> None:
    plain = document("tau-too-large", LARGE)
    assert one_length(plain, None if tau is None else {"tau": tau}) == plain


def test_doubt_at_the_end_of_a_headline_stays() -> None:
    doubt = LARGE + "; not proved: the file is damaged"
    made = one_length(document("tau-too-large", doubt), {"tau": {"best": 1, "current": 4, "gain": 0.5}})
    assert made["causes"][0]["headline"].endswith("+50% speed; not proved: the file is damaged")
