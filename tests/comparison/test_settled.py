"""A comparison proves a fix: each cause is fixed, still there or new, and a changed setting is told."""

import re
from pathlib import Path
from typing import Any

import pytest

from sdtrace.api import diff
from sdtrace.cli import run
from sdtrace.comparison.answer import Answer, AnswerWord
from sdtrace.comparison.metrics import Metric
from sdtrace.comparison.settled import Settled, answered
from sdtrace.stats.jackknife import Interval
from tests.made.laws import Generator
from tests.made.log import Log, Record
from tests.made.simulate import Scenario, simulate
from tests.made.world import Shape

SHAPE = Shape(tested=900)


def nan_target(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
    """Most rows are NaN; the engine is an older one, with another setting."""
    run.update(engine="vllm", engine_version="0.32.0", config={"sampler": "patched", "dtype": "bfloat16"})
    for step in steps[20:]:
        if step["draft_token_ids"]:
            step["target_probs"] = [float("nan")] * len(step["target_probs"])


def newer(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
    run.update(engine="vllm", engine_version="0.33.0", config={"sampler": "stock", "dtype": "bfloat16"})


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("settled")
    broken = Scenario(fault="p-flat-sometimes", shape=SHAPE, edit=nan_target)
    repaired = Scenario(shape=SHAPE, seed=4, edit=newer)
    one, other = (str(simulate(s).write(folder / f"{i}.jsonl")) for i, s in enumerate((broken, repaired)))
    return one, other


@pytest.fixture(scope="module")
def fixed(sides: tuple[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = diff(*sides).document
    return found


@pytest.mark.slow
def test_a_repair_fixes_every_cause_of_the_incident(fixed: dict[str, Any]) -> None:
    rows = {row["cause"]: row for row in fixed["diff"]["causes"]}
    assert {"invalid-probabilities", "degenerate-target"} <= set(rows)
    assert {row["change"] for row in rows.values()} == {"fixed"}
    assert (rows["invalid-probabilities"]["was"], rows["invalid-probabilities"]["is"]) == ("proved", None)
    assert fixed["diff"]["answer"] == "improved"
    assert fixed["verdict"]["headline"].startswith("improved: fixed: invalid-probabilities")
    assert fixed["verdict"]["state"] == "healthy"
    assert not [n for n in fixed["verdict"]["not_checked"] if "accepts too much" in n], "the repair is not suspected"


@pytest.mark.slow
def test_what_was_configured_differently_is_told(fixed: dict[str, Any]) -> None:
    assert fixed["diff"]["configuration"] == {
        "engine_version": ["0.32.0", "0.33.0"],
        "config.sampler": ["patched", "stock"],
    }


@pytest.mark.slow
def test_the_other_way_round_it_is_new_and_one_incident(
    sides: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["diff", sides[1], sides[0]]) == 1
    said = capsys.readouterr().out
    assert said.startswith("WRONG")
    assert "NEW      invalid-probabilities" in said
    assert "differs  engine_version: 0.33.0 to 0.32.0" in said
    assert "signs    degenerate-target" in said
    assert run(["diff", sides[1], sides[0], "-q", "--fail-on", "none"]) == 0


@pytest.mark.slow
def test_the_command_says_fixed_and_ends_with_0(sides: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["diff", *sides]) == 0
    said = capsys.readouterr().out
    assert said.startswith("IMPROVED fixed: ")
    assert "FIXED    invalid-probabilities" in said
    assert re.search(r"^  tokens per second +\S+ +\S+ +\+", said, re.MULTILINE)


@pytest.mark.slow
def test_what_the_candidate_does_not_record_is_not_fixed(sides: tuple[str, str], tmp_path: Path) -> None:
    def without(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
        for step in steps:
            for name in ("target_probs", "draft_probs", "last_target_prob", "last_draft_prob"):
                step.pop(name, None)

    bare = Scenario(shape=SHAPE, log=Log(uniforms=False, scalars=False), edit=without)
    found = diff(sides[0], str(simulate(bare).write(tmp_path / "bare.jsonl"))).document["diff"]
    assert not any(r["change"] == "fixed" for r in found["causes"])
    row = next(r for r in found["causes"] if r["cause"] == "invalid-probabilities")
    assert (row["is"], row["change"]) == (None, None)


def row(cause: str, side: Any, change: Any, now: Any = None) -> Settled:
    return Settled(cause, side, "proved", now, change, "says")


@pytest.mark.parametrize(
    ("word", "rows", "expected"),
    [
        ("inconclusive", [row("bonus-missing", "wrong", "fixed")], "improved"),
        ("regressed", [row("lenient-acceptance", "wrong", "fixed")], "improved"),  # it bought speed with text
        ("inconclusive", [row("low-acceptance", "slow", "fixed")], "improved"),
        ("fine", [row("bonus-missing", "wrong", "fixed"), row("draft-not-from-q", "wrong", "new", "proved")], "fine"),
        ("fine", [row("bonus-missing", "wrong", "still", "proved")], "fine"),
        ("fine", [row("bonus-missing", "wrong", None)], "fine"),
        ("improved", [], "improved"),
    ],
)
def test_the_answer_where_a_cause_is_gone(word: AnswerWord, rows: list[Settled], expected: str) -> None:
    assert answered(Answer(word, None, "tokens per second +0%"), rows).word == expected


@pytest.mark.parametrize("word", ["regressed", "fine", "inconclusive"])
def test_figures_with_an_interval_judge_speed(word: AnswerWord) -> None:
    told = Answer(word, Metric("tokens_per_second", 10.0, 10.1, Interval(0.01, -0.02, 0.04), True), "says")
    found = answered(told, [row("draft-too-slow", "slow", "fixed")])
    assert (found.word, found.says) == (word, "fixed: draft-too-slow; says")
