"""Which cause explains which: the table holds no circle, and every row of it makes one incident of two causes."""

from typing import Any

import pytest

from sdtrace.results.cause_words import WORDS
from sdtrace.results.explains import EDGES, Edge, Named, incident_of, with_incident

#: Causes that a replay names; their words stand there.
_OF_REPLAY = {"state-not-rolled-back", "position-off-by-one", "verifier-differs"}


def named(cause: str, certainty: str = "proved") -> Named:
    return Named(cause, "wrong" if cause in _OF_REPLAY else WORDS[cause].side, certainty)


def test_every_cause_of_the_table_exists_and_no_two_explain_each_other() -> None:
    pairs = {(e.root, e.sign) for e in EDGES}
    assert len(pairs) == len(EDGES)
    assert {name for pair in pairs for name in pair} <= set(WORDS) | _OF_REPLAY
    reached = set(pairs)
    while more := {(a, d) for a, b in reached for c, d in pairs if b == c} - reached:
        reached |= more
    assert not [a for a, b in reached if a == b]


@pytest.mark.parametrize("edge", EDGES, ids=lambda e: f"{e.root}-{e.sign}")
def test_an_edge_makes_one_incident(edge: Edge) -> None:
    """Whatever the order and the certainty of the sign; a sign alone is a root of its own."""
    for certainty in ("proved", "statistical", "suspected"):
        root, sign = named(edge.root), named(edge.sign, certainty)
        if (root.side, sign.side) != ("metric", "wrong"):
            assert incident_of([root, sign]) == incident_of([sign, root]) == (edge.root, [edge.sign])
    assert incident_of([named(edge.sign)]) == (edge.sign, [])
    assert edge.why


def test_signs_of_signs_belong_to_the_incident_and_other_causes_do_not() -> None:
    rows = ["host-overhead", "low-acceptance", "recovered-not-residual", "degenerate-target", "invalid-probabilities"]
    found = incident_of([named(cause) for cause in rows])
    assert found == ("invalid-probabilities", ["low-acceptance", "recovered-not-residual", "degenerate-target"])


def test_a_missing_bonus_does_not_explain_a_drafter_that_is_never_right() -> None:
    assert incident_of([named("bonus-missing"), named("drafter-miswired")]) == ("bonus-missing", [])


def test_what_is_only_suspected_is_no_incident() -> None:
    assert incident_of([named("low-acceptance", "suspected")]) is None
    assert incident_of([]) is None


def test_a_stage_that_adds_causes_keeps_what_was_measured_of_the_root() -> None:
    def document(*causes: str) -> dict[str, Any]:
        rows = [{"cause": c, "side": named(c).side, "certainty": "proved", "headline": f"{c} is there"} for c in causes]
        return {"causes": rows, "verdict": {"state": "wrong", "headline": f"{causes[0]} is there; since 10:00:00"}}

    known = {"root": "degenerate-output", "since": 5.0, "affected": {"steps": 7}, "consequences": []}
    same = with_incident(document("degenerate-output") | {"incident": known})
    assert same["incident"]["since"] == 5.0
    assert same["verdict"]["headline"].endswith("since 10:00:00")
    other = with_incident(document("degenerate-output", "state-not-rolled-back") | {"incident": known})
    assert (other["incident"]["root"], other["incident"]["since"]) == ("state-not-rolled-back", None)
    assert other["incident"]["consequences"] == ["degenerate-output"]
    assert other["verdict"]["headline"] == "state-not-rolled-back is there"
    said = document("degenerate-output", "state-not-rolled-back") | {"incident": known}
    said["verdict"] = {"state": "wrong", "headline": "in other words than its cause"}
    assert with_incident(said, "state-not-rolled-back")["verdict"] == said["verdict"]
    assert with_incident(said | {"causes": said["causes"][:1]})["verdict"] == said["verdict"]
    assert with_incident(said, "degenerate-output")["verdict"]["headline"] == "state-not-rolled-back is there"
