"""No correct engine is accused, however odd its trace."""

from pathlib import Path

import pytest

from tests.made.lawful import VARIANTS
from tests.made.log import Log
from tests.made.simulate import Scenario, document, simulate
from tests.made.world import Shape


def unaccused(scenario: Scenario, folder: Path) -> None:
    found = document(simulate(scenario).write(folder / "trace.jsonl"))
    accusations = [cause for cause in found["causes"] if cause["side"] in ("wrong", "metric")]
    assert accusations == []
    assert found["verdict"]["state"] in ("healthy", "cannot-tell")
    assert not [check["code"] for check in found["checks"] if check["state"] == "crashed"]


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_lawful_variant(name: str, tmp_path: Path) -> None:
    unaccused(VARIANTS[name], tmp_path)


@pytest.mark.one_of(3)
@pytest.mark.parametrize("law", ["ratio", "one-hot", "match", "greedy", "block", "tree-coin"])
def test_declared_and_complete_is_healthy(law: str, tmp_path: Path) -> None:
    """With everything logged, no decision of a correct engine disagrees, and most are decidable."""
    trace = simulate(Scenario(law, seed=11, shape=Shape(tested=600)))
    found = document(trace.write(tmp_path / "trace.jsonl"))
    audit = found["audit"]
    assert (audit["rule"], audit["rule_source"]) == (law, "declared")
    assert audit["disagree"] == 0
    assert audit["steps"] == len(trace.steps)
    assert audit["appended"] == sum(len(step["output_token_ids"]) for step in trace.steps)
    if law != "block":  # its positions before the last accepted one are free
        assert audit["tested"] == trace.tested
        assert audit["undecidable"] <= trace.tested * 0.01


@pytest.mark.one_of(2)
@pytest.mark.parametrize("share", [0.2, 0.8])
def test_greedy_requests_hide_none_of_the_others(share: float, tmp_path: Path) -> None:
    """Whichever law most of a declared run was verified under, every step is looked at."""
    trace = simulate(Scenario("ratio", seed=31, greedy_share=share))
    audit = document(trace.write(tmp_path / "trace.jsonl"))["audit"]
    assert set(audit["laws"]) == {"ratio", "greedy"}
    assert audit["steps"] == len(trace.steps)
    assert audit["tested"] == trace.tested
    assert audit["disagree"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("law", ["ratio", "one-hot", "match", "greedy", "block"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_other_seeds(law: str, seed: int, tmp_path: Path) -> None:
    unaccused(Scenario(law, seed=seed, log=Log(rule=False)), tmp_path)


def test_two_engines_in_one_report(tmp_path: Path) -> None:
    """Traces of two laws under one run id of their own each, read together."""
    one, two = simulate(Scenario("ratio", seed=21)), simulate(Scenario("block", seed=22))
    for record in (two.run, *two.requests, *two.steps):
        record["run_id"] = "other"
    found = document([one.write(tmp_path / "a.jsonl"), two.write(tmp_path / "b.jsonl")])
    assert found["verdict"]["state"] in ("healthy", "cannot-tell")
    assert found["audit"]["disagree"] == 0
