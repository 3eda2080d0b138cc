"""Conditions of --fail-if: what is met, what cannot be judged, what cannot be meant."""

from pathlib import Path

import pytest

from sdtrace import report
from sdtrace.cli import run
from sdtrace.cli.conditions import condition, judge
from sdtrace.errors import UsageError
from sdtrace.results.report import Report

SAMPLES = Path(__file__).parents[2] / "sample_logs"
PLANTED = SAMPLES / "transformers-lenient-0.8.planted.jsonl.gz"


@pytest.fixture(scope="module")
def wrong() -> Report:
    return report(PLANTED)


@pytest.mark.one_of(3)
@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("tokens_per_step < 1.8", False),
        ("tokens_per_step<5", True),
        ("rate_of_drafted >= 0.1", True),
        ("disagree > 0", True),
        ("step_ms > 1", True),
    ],
)
def test_conditions(wrong: Report, text: str, met: bool) -> None:
    (result,) = judge([condition(text)], wrong.document)
    assert result.met == met


def test_what_was_not_recorded_meets_no_condition(wrong: Report) -> None:
    (result,) = judge([condition("step_ms > 1")], wrong.document | {"time": None})
    assert (result.met, result.value) == (False, None)
    assert "not judged" in result.sentence()


def test_conditions_against_the_baseline() -> None:
    metric = {"name": "tokens_per_step", "change": -0.06}
    history = {"alarms": [], "services": [{"service": "chat", "metrics": [metric]}]}
    document = {"history": history, "diff": None, "acceptance": None, "audit": None, "time": None}
    assert [r.met for r in judge([condition("tokens_per_step < -5%")], document)] == [True]
    assert [r.met for r in judge([condition("tokens_per_step < -7%"), condition("alarms > 0")], document)] == [
        False
    ] * 2


@pytest.mark.parametrize(
    "text", ["tokens_per_step", "tokens < 1", "tokens_per_step << 2", "tokens_per_step < -5%", "a b < 1"]
)
def test_conditions_that_cannot_be_meant(wrong: Report, text: str) -> None:
    with pytest.raises(UsageError):
        judge([condition(text)], wrong.document)


@pytest.mark.slow
def test_conditions_choose_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    healthy = str(SAMPLES / "transformers-sampled.jsonl.gz")
    assert run(["report", healthy, "--fail-if", "tokens_per_step < 5"]) == 1
    assert "FAILED: tokens_per_step is 1.703 (limit 5)" in capsys.readouterr().err
    assert run(["report", healthy, "--fail-if", "tokens_per_step < 1"]) == 0
    assert run(["report", healthy, "--fail-if", "tokens_per_step < 5", "--exit-zero"]) == 0
    assert run(["report", healthy, "--fail-if", "nonsense"]) == 2
