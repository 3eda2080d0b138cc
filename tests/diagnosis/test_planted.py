"""Every planted fault is named as its cause, first among what is wrong, at about 300 tested positions."""

from pathlib import Path
from typing import Any

import pytest

from tests.made.faults import FAULTS, QUIET, QUIETLY
from tests.made.log import Log
from tests.made.pairs import one_of
from tests.made.simulate import Scenario, document, documented, simulate
from tests.made.world import Shape


def accused(found: dict[str, Any]) -> list[str]:
    """Causes of side wrong, strongest first."""
    return [cause["cause"] for cause in found["causes"] if cause["side"] == "wrong"]


def assert_one_incident(found: dict[str, Any], root: str) -> None:
    """The planted fault is the root, everything else that is wrong a sign of it, and the first sentence is of it."""
    incident = found["incident"]
    assert incident["root"] == root
    assert [root, *(c for c in accused(found) if c != root)] == [
        root,
        *(c for c in incident["consequences"] if c in accused(found)),
    ]
    headline = next(c["headline"] for c in found["causes"] if c["cause"] == root)
    assert found["verdict"]["headline"].startswith(headline)
    steps, share = incident["affected"]["steps"], incident["affected"]["share"]
    if any("where" in row for c in found["causes"] for row in c["evidence"]):
        return  # of one part of the traffic the record does not count how much it is
    assert 0 < steps <= found["audit"]["steps"]
    assert share == pytest.approx(steps / found["audit"]["steps"])
    assert 0 < incident["affected"]["requests"] <= incident["of"]["requests"]


@pytest.mark.parametrize("name", one_of(6, FAULTS))
def test_with_uniforms(name: str) -> None:
    found = documented(Scenario(fault=name))
    assert found["verdict"]["state"] == "wrong"
    assert found["causes"][0]["cause"] == FAULTS[name].cause
    assert found["causes"][0]["evidence"], "no finding without a witness"
    assert_one_incident(found, FAULTS[name].cause)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", FAULTS)
def test_other_seeds(name: str, seed: int) -> None:
    assert accused(documented(Scenario(fault=name, seed=seed)))[:1] == [FAULTS[name].cause]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.impossible])
def test_without_uniforms(name: str) -> None:
    """Impossible events need no uniform. Which rule made them may need one."""
    found = documented(Scenario(fault=name, log=Log(uniforms=False)))
    assert found["verdict"]["state"] == "wrong"
    expected = {FAULTS[name].cause}
    if FAULTS[name].level or FAULTS[name].decide:
        expected.add("decision-mismatch")
    assert accused(found)[0] in expected


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenience-0.7", "inverted-ratio", "recovered-from-p", "random-flips", "p-next-row"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "decimals:4"])
def test_rounded_logs(name: str, dtype: str) -> None:
    found = documented(Scenario(fault=name, log=Log(dtype=dtype), shape=Shape(tested=600)))
    assert accused(found)[:1] == [FAULTS[name].cause]


@pytest.mark.one_of(4)
@pytest.mark.parametrize("uniforms", [True, False])
@pytest.mark.parametrize("name", ["target-temperature-0.7", "draft-temperature-0.7"])
def test_temperature_on_one_side_without_moments_of_the_rows(name: str, uniforms: bool) -> None:
    """The normaliser is unknown then; the weight of log p against log q still tells, with more tokens."""
    log, shape = Log(scalars=False, uniforms=uniforms), Shape(tested=3000)
    assert accused(documented(Scenario(fault=name, log=log, shape=shape)))[0] == FAULTS[name].cause


@pytest.mark.slow
def test_witnesses_of_a_stop_are_requests_that_went_past_it() -> None:
    trace = simulate(Scenario(fault="past-stop"))
    stops = {made["request_id"]: made["stop_token_ids"] for made in trace.requests if len(made["stop_token_ids"]) > 1}
    found = documented(Scenario(fault="past-stop"))
    assert {seen["request_id"] for seen in found["causes"][0]["evidence"]} <= set(stops)


def test_ground_truth_is_what_the_audit_counts(tmp_path: Path) -> None:
    """Disagreements are the planted wrong decisions, all of them and no others (float64 log)."""
    trace = simulate(Scenario(fault="lenience-0.7", log=Log(dtype="float64"), shape=Shape(tested=1000)))
    audit = document(trace.write(tmp_path / "trace.jsonl"))["audit"]
    assert audit["tested"] == trace.tested
    assert trace.wrong - audit["undecidable"] <= audit["disagree"] <= trace.wrong
    assert audit["undecidable"] <= 2


@pytest.mark.one_of(5)
@pytest.mark.parametrize("name", QUIET)
def test_faults_that_no_single_token_proves(name: str) -> None:
    """The pattern of several statistics is read into one cause, and into no second one."""
    fault, tested = QUIET[name]
    found = documented(Scenario(fault=name, log=Log(uniforms=name == "draws-biased"), shape=Shape(tested=tested)))
    assert accused(found) == [fault.cause]
    assert found["causes"][0]["certainty"] == "statistical"
    fired = {check["code"] for check in found["checks"] if check["state"] == "fired"}
    assert fired >= {code for code, planted in QUIETLY.items() if planted == name} - {"SD222"}, "SD222 needs uniforms"
    assert found["causes"][0]["evidence"]
    assert_one_incident(found, fault.cause)
