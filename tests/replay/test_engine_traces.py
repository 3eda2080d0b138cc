"""Traces scored by the engine: recorded p and decisions against its own, rejected tokens that no row lists asked for one by one."""

from pathlib import Path

import pytest

from sdtrace.api import replay
from tests.made.engine_inputs import trace
from tests.made.fake_engine import Engine, serving


@pytest.mark.one_of(2)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_right_trace_agrees(temperature: float, tmp_path: Path) -> None:
    engine = Engine()
    with serving(engine) as url:
        found = replay(trace(engine, tmp_path / "t.jsonl", temperature=temperature), verifier=url).document
    assert found["verdict"]["state"] in ("healthy", "cannot-tell"), found["causes"]
    assert [c for c in found["causes"] if c["certainty"] != "suspected"] == []
    assert found["replay"]["decisions"]["disagree"] == 0
    assert found["replay"]["decisions"]["agree"] > 80
    if temperature:
        assert found["replay"]["log_p"]["compared"] > 100
        branches = [a for a in engine.asked if len(a["prompt"]) < 6 + 40 and a.get("prompt_logprobs")]
        assert branches, "a rejected token that no row lists is asked for"


@pytest.mark.one_of(2)
@pytest.mark.parametrize(
    ("fault", "temperature", "cause"),
    [
        pytest.param("forced", 1.0, "decision-mismatch", marks=pytest.mark.slow),
        pytest.param("forced", 0.0, "greedy-mismatch", marks=pytest.mark.slow),
        ("row", 1.0, "verifier-differs"),
        pytest.param("record", 1.0, "verifier-differs", marks=pytest.mark.slow),
    ],
)
def test_a_wrong_one_is_named(fault: str, temperature: float, cause: str, tmp_path: Path) -> None:
    engine = Engine()
    with serving(engine) as url:
        found = replay(trace(engine, tmp_path / "t.jsonl", fault=fault, temperature=temperature), verifier=url).document
    assert found["verdict"]["state"] == "wrong"
    assert cause in [c["cause"] for c in found["causes"]]
