"""A verifier that is wrong in a known way, told by the engine's own scores: which one it is, or only that it differs."""

import json
from pathlib import Path

import numpy as np
import pytest

from sdtrace.api import replay
from tests.made.fake_engine import Coarse, Deep, serving
from tests.made.wrong_verifier import ASKED, FAULTS, trace

#: Whether positions are ahead or behind cannot be told; which other weights there were, an engine that has them tells.
TOLD = {
    "positions-ahead": "positions-shifted", "positions-behind": "positions-shifted", "quantised-Q4_0": "other-weights",
    "another-checkpoint": "other-weights",
}  # fmt: skip
CAUSES = {
    "not-rolled-back": "state-not-rolled-back", "stale-entries": "state-not-rolled-back", "row-before": "misaligned-target-probs",
    "temperature-ignored": "sampling-params-ignored", "temperature-twice": "sampling-params-ignored",
    "top-k-ignored": "sampling-params-ignored", "top-p-ignored": "sampling-params-ignored",
    "positions-ahead": "position-off-by-one", "positions-behind": "position-off-by-one",
    "positions-drift-on-rejection": "position-off-by-one",
}  # fmt: skip

#: One of each kind is tried each time; the others are slow ones.
OFTEN = (
    "temperature-ignored",
    "not-rolled-back",
    "positions-ahead",
    "template-dropped",
    "another-checkpoint",
)


@pytest.mark.one_of(8)
@pytest.mark.parametrize("fault", [f if f in OFTEN else pytest.param(f, marks=pytest.mark.slow) for f in FAULTS])
def test_each_fault_is_seen_and_named_as_far_as_scores_can(fault: str, tmp_path: Path) -> None:
    with serving(Deep()) as url:
        found = replay(trace(tmp_path / "t.jsonl", fault, dtype="float32"), verifier=url).document
    causes = [c["cause"] for c in found["causes"]]
    assert found["verdict"]["state"] == "wrong"
    assert found["replay"]["named"] == TOLD.get(fault, fault)
    assert causes[0] == CAUSES.get(fault, "verifier-differs")


@pytest.mark.slow
def test_few_records_are_enough_where_one_way_explains_them(tmp_path: Path) -> None:
    """Two recorded log probabilities that the engine's own parameters rule out: fewer than tell that p differs, were they unexplained."""
    asked = {"temperature": 0.8, "top_k": 16, "top_p": 0.98}
    with serving(Deep()) as url:
        sent = trace(tmp_path / "t.jsonl", "top-k-ignored", requests=2, steps=5, asked=asked, dtype="float32")
        found = replay(sent, verifier=url).document
    assert found["replay"]["log_p"]["outside_band"] < 5
    assert (found["replay"]["named"], found["verdict"]["state"]) == ("top-k-ignored", "wrong")


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["positions-ahead", "positions-behind"])
def test_four_requests_tell_that_positions_moved(fault: str, tmp_path: Path) -> None:
    """Four places right behind a prompt: they tell as much as p is known there."""
    with serving(Deep()) as url:
        found = replay(trace(tmp_path / "t.jsonl", fault, requests=4, dtype="float32"), verifier=url).document
    assert (found["replay"]["named"], found["causes"][0]["cause"]) == ("positions-shifted", "position-off-by-one")


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.02, 0.2])
def test_noise_of_no_known_kind_is_not_named_after_a_parameter(noise: float, tmp_path: Path) -> None:
    """What a way tells within wide bounds holds any p that is near: that is no evidence for it."""
    rng = np.random.default_rng(1)
    lines = [json.loads(line) for line in trace(tmp_path / "t.jsonl", dtype="float32").read_text().splitlines()]
    for line in lines:
        if line["kind"] == "step":
            told = np.array([*line["target_probs"], line["last_target_prob"]])
            told = np.minimum(told * np.exp(rng.normal(0, noise, len(told))), 1.0)
            line["target_probs"], line["last_target_prob"] = told[:-1].tolist(), float(told[-1])
    (tmp_path / "n.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with serving(Deep()) as url:
        found = replay(tmp_path / "n.jsonl", verifier=url).document
    assert found["replay"]["log_p"]["outside_band"] > 20
    assert found["replay"]["named"] in (None, "other-weights")


@pytest.mark.slow
def test_an_engine_that_has_the_weights_tells_which_model_ran(tmp_path: Path) -> None:
    file = trace(tmp_path / "t.jsonl", "another-checkpoint")
    with serving(Deep()) as url, serving(Deep(model=50)) as other:
        found = replay(file, verifier=url, suspects=[other]).document
    assert found["replay"]["named"] == "model:fake"
    assert f"another model: fake at {other}" in found["causes"][0]["headline"]


@pytest.mark.slow
@pytest.mark.parametrize("said", ["float32", None])
def test_an_engine_in_another_precision_accuses_nobody(said: str | None, tmp_path: Path) -> None:
    """What it tells of every row says that it computes in bfloat16; recorded p of one row says float32 where the run does not."""
    with serving(Coarse()) as url:
        found = replay(trace(tmp_path / "t.jsonl", dtype=said), verifier=url).document
    assert found["replay"]["precision"] == "bfloat16"
    assert found["replay"]["recorded_precision"] == "float32"
    assert [c["certainty"] for c in found["causes"]] == ["suspected"]
    assert found["verdict"]["state"] == "cannot-tell"
    assert "compare in one precision first" in found["causes"][0]["headline"]
    assert "--dtype float32" in found["causes"][0]["advice"]


@pytest.mark.one_of(2)
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
