"""A verifier that is wrong in a known way, told by the engine's own scores: which one it is, or only that it differs."""

from pathlib import Path

import pytest

from sdtrace.api import replay
from tests.made.fake_engine import Deep, serving
from tests.made.wrong_verifier import ASKED, FAULTS, trace

#: What an engine cannot be asked for: positions, entries of its cache, its template, its weights.
UNTOLD = frozenset(FAULTS) - {
    "temperature-ignored", "temperature-twice", "top-k-ignored", "top-p-ignored", "row-before", "not-rolled-back", "first-token-dropped",
}  # fmt: skip


#: One of each kind is tried each time; the others are slow ones.
OFTEN = ("temperature-ignored", "top-k-ignored", "not-rolled-back", "row-before", "positions-ahead")


@pytest.mark.parametrize("fault", [f if f in OFTEN else pytest.param(f, marks=pytest.mark.slow) for f in FAULTS])
def test_each_fault_is_seen_and_named_as_far_as_scores_can(fault: str, tmp_path: Path) -> None:
    asked = {"temperature": 0.6, "top_k": 4, "top_p": 0.9} if fault == "top-k-ignored" else ASKED
    with serving(Deep()) as url:
        found = replay(trace(tmp_path / "t.jsonl", fault, asked=asked), verifier=url).document
    cause = {c["cause"]: c["certainty"] for c in found["causes"]}
    assert found["verdict"]["state"] == "wrong"
    assert found["replay"]["named"] == (None if fault in UNTOLD else fault)
    named = next((way["cause"] for way in found["replay"]["ways"] if way["name"] == fault), "verifier-differs")
    assert named in cause


@pytest.mark.parametrize(
    "asked",
    [
        ASKED,
        {"temperature": 1.0, "top_k": 0, "top_p": 1.0},
        pytest.param({"temperature": 1.3, "top_k": 5, "top_p": 1.0}, marks=pytest.mark.slow),
        pytest.param({"temperature": 0.5, "top_k": 0, "top_p": 0.7}, marks=pytest.mark.slow),
        pytest.param({"temperature": 0.7, "top_k": 0, "top_p": 1.0}, marks=pytest.mark.slow),
    ],
)
def test_a_sound_verifier_is_accused_of_nothing(asked: dict[str, float], tmp_path: Path) -> None:
    with serving(Deep()) as url:
        found = replay(trace(tmp_path / "t.jsonl", asked=asked), verifier=url).document
    assert [c for c in found["causes"] if c["certainty"] != "suspected"] == []
    assert found["replay"]["log_p"]["outside_band"] == 0
    assert found["replay"]["log_p"]["compared"] > 80
    assert found["replay"]["decisions"]["disagree"] == 0
    assert found["replay"]["named"] is None
