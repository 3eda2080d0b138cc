"""Rules that a run names: synonyms, draft trees whose siblings are not recorded, and words that nobody knows."""

from pathlib import Path
from typing import Any

import pytest

from sdtrace.results.not_checked import sentences
from sdtrace.simulate import VARIANTS, Settings
from sdtrace.verify.laws import named
from tests.made.laws import Generator
from tests.made.log import Log, Record
from tests.made.simulate import Edit, Scenario, document, simulate
from tests.made.world import Shape
from tests.power.judge import at_level, diagnosed, made


@pytest.mark.parametrize(
    ("word", "law"),
    [("ratio", "ratio"), ("SpecInfer", "multi-draft"), ("k-sequence", "multi-draft"), ("warp", None), (None, None)],
)
def test_words_for_laws(word: str | None, law: str | None) -> None:
    found = named(word)
    assert (found and found.name) == law


def declares(rule: str, config: dict[str, Any] | None = None) -> Edit:
    def edit(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
        run.update(rule=rule, config=config)

    return edit


@pytest.mark.one_of(3)
@pytest.mark.parametrize("rule", ["warp-speed", "unknown", "<script>"])
def test_an_unknown_rule_is_not_judged_whatever_was_decided(rule: str, tmp_path: Path) -> None:
    """Half of these decisions contradict every law of the list; a word that is not known accuses nobody."""
    trace = simulate(Scenario(fault="inverted-ratio", edit=declares(rule), shape=Shape(tested=600)))
    found = document(trace.write(tmp_path / "t.jsonl"))
    assert [c for c in found["causes"] if c["side"] == "wrong"] == []
    assert found["audit"]["rule"] == "unknown"
    assert found["verdict"]["state"] == "cannot-tell"
    assert "unknown rule: not judged" in found["verdict"]["headline"]
    assert any("unknown rule: not judged" in note for note in found["verdict"]["not_checked"])


@pytest.mark.one_of(10)
@pytest.mark.parametrize(
    "variant", ["tree-of-4", "tree-unsaid", "specinfer-2", "specinfer-4", "specinfer-unknown-word"]
)
@pytest.mark.parametrize("level", ["basic", "draws"])
def test_siblings_that_are_not_recorded_may_have_been_tried_first(variant: str, level: str) -> None:
    law = VARIANTS[variant].laws[0]
    found = diagnosed(at_level(made(Settings(variant=variant, tested=2000, vocab=128)), level, law))
    assert [c for c in found.causes if c.side in ("wrong", "metric")] == []
    assert found.audit is not None
    assert found.acceptance is not None
    assert found.audit["disagree"] == 0
    assert found.acceptance["expected_rate"] is None
    assert any("one token a node" in note or "unknown rule" in note for note in sentences(found.not_checked))


@pytest.mark.slow
def test_a_coin_under_the_first_child_accepts_whatever_its_siblings_are(tmp_path: Path) -> None:
    """The proof that is left: here a tenth of the acceptances is reported as a rejection."""

    def edit(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
        run["config"] = {"topk": 4}
        for step in steps:
            if step["num_accepted"] and rng.random() < 0.1:
                step["accepted"][0] = False
                step.update(num_accepted=0, accepted=[False], last_kind="recovered")
                step["output_token_ids"] = [77]

    trace = simulate(Scenario("tree-coin", shape=Shape(tested=600), edit=edit))
    found = document(trace.write(tmp_path / "t.jsonl"))
    assert found["verdict"]["state"] == "wrong"
    assert found["causes"][0]["checks"][0] == "SD101"


@pytest.mark.slow
def test_greedy_requests_of_a_run_without_a_law_are_held_to_greedy(tmp_path: Path) -> None:
    """Half of the requests are at temperature 0; a tenth of their last tokens is not the argmax, by a wide margin."""

    def edit(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
        cold = {made["request_id"] for made in requests if made["temperature"] == 0}
        for step in steps:
            n_a = step["num_accepted"]
            if step["request_id"] in cold and step["target_top2_gap"][n_a] > 1 and rng.random() < 0.1:
                step["output_token_ids"][n_a] = 250 if step["output_token_ids"][n_a] != 250 else 251

    honest, flipped = (
        Scenario("ratio", greedy_share=0.5, log=Log(rule=False), shape=Shape(tested=800), edit=change)
        for change in (None, edit)
    )
    sound = document(simulate(honest).write(tmp_path / "h.jsonl"))
    assert [c for c in sound["causes"] if c["side"] == "wrong"] == []
    assert (sound["audit"]["disagree"], sound["audit"]["undecidable"]) == (0, 0)
    found = document(simulate(flipped).write(tmp_path / "f.jsonl"))
    assert [c["cause"] for c in found["causes"] if c["side"] == "wrong"] == ["greedy-mismatch"]
    assert set(found["audit"]["laws"]) == {"ratio", "greedy"}
