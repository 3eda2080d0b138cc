"""One recommendation of a draft length: a cause says its own estimate, or what the curve of recorded tokens says."""

from dataclasses import replace
from typing import Any

import pytest

from sdtrace.results.cause import Cause
from sdtrace.results.draft_length import OtherLength
from sdtrace.schema.json_values import Json
from sdtrace.tuning.attach import one_length, without_length

#: Words of a sentence that read like a recommendation: they are nobody's to cut.
SAYS = "the schedule drafts too far; 9 of 10 requests would gain by less; position 3 is accepted in 3% of the steps"
SHORTER = OtherLength(1, 4, 0.931, "positions", 0.85, 1.02)
LONGER = OtherLength(7, 4, 0.2, "extrapolated", 0.1, 0.3)


def cause(length: OtherLength | None, *beside: str) -> Cause:
    effect = "without it throughput would be up to 93% higher"
    made = Cause("tau-too-large", "slow", "statistical", (), SAYS, (), "draft fewer", "config", effect=effect)
    return replace(made, length=length, beside=beside)


def curve(best: int | None, gain: float | None, **more: Any) -> Json:
    return {"tau": {"best": best, "current": 4, "gain": gain, **more}}


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (SHORTER, "1 instead of 4 drafted tokens would gain 93% (85% to 102%) or more"),
        (replace(SHORTER, basis="cut", current=14.6), "1 would gain 93% (85% to 102%) or more"),
        (LONGER, "7 would gain about 20% (10% to 30%) if acceptance goes on as at the last position"),
        (OtherLength(0, 4, 0.59, "curve"), "the best draft length is 0 instead of 4: +59% speed"),
        (OtherLength(0, 4, 0.59, "curve-at-least"), "the best draft length is 0 instead of 4: +59% speed or more"),
        (None, None),
    ],
)
def test_a_headline_is_made_of_its_facts(length: OtherLength | None, said: str | None) -> None:
    made = cause(length, "not proved: the file is damaged").headline
    assert made == "; ".join(filter(None, [SAYS, said, "not proved: the file is damaged"]))


@pytest.mark.parametrize(("basis", "more"), [("estimate", ""), ("at-least", " or more")])
def test_a_cause_recommends_what_the_curve_does(basis: str, more: str) -> None:
    (made,) = one_length([cause(SHORTER, "since then")], curve(0, 0.59, gain_basis=basis))
    assert made.headline == f"{SAYS}; the best draft length is 0 instead of 4: +59% speed{more}; since then"
    assert made.effect == f"throughput would be 59%{more} higher at the best draft length"


@pytest.mark.parametrize("tuning", [None, curve(None, None), curve(5, 0.1), curve(4, 0.0)])
def test_where_the_curve_has_no_such_length_the_cause_says_its_own(tuning: Json | None) -> None:
    assert one_length([cause(SHORTER)], tuning) == [cause(SHORTER)]


def test_the_sides_are_told_by_the_lengths() -> None:
    assert one_length([cause(LONGER)], curve(2, 0.5)) == [cause(LONGER)]
    assert one_length([cause(LONGER)], curve(8, 0.5))[0].length == OtherLength(8, 4, 0.5, "curve")


def test_a_trace_that_is_wrong_has_no_recommendation() -> None:
    plain = replace(cause(None), effect="what it did to the text")
    assert without_length([cause(SHORTER, "since then"), plain]) == [
        replace(cause(None, "since then"), effect=None),
        plain,
    ]
