"""Real traces of one drafter at tau 1, 2, 4 and 8: what each says of the other lengths, held against their own records."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import sdtrace

TAUS = (1, 2, 4, 8)
FOLDER = Path(__file__).resolve().parents[2] / "sample_logs" / "tau"


@pytest.fixture(scope="module")
def curves() -> dict[int, dict[int, dict[str, Any]]]:
    """Recorded tau -> asked tau -> point."""
    found = {}
    for tau in TAUS:
        document = sdtrace.report(FOLDER / f"greedy-{tau}.jsonl.gz").document
        assert document["verdict"]["state"] == "healthy"
        found[tau] = {point["tau"]: point for point in document["tuning"]["tau"]["curve"]}
    return found


@pytest.mark.slow
def test_each_says_of_itself_what_was_recorded(curves: dict[int, dict[int, dict[str, Any]]]) -> None:
    assert all(curves[tau][tau]["basis"] == "exact" for tau in TAUS)
    assert [round(curves[tau][tau]["tokens_per_step"], 2) for tau in TAUS] == [1.73, 2.21, 2.84, 3.37]


@pytest.mark.one_of(4)
@pytest.mark.parametrize("recorded", TAUS)
def test_other_lengths_are_predicted(recorded: int, curves: dict[int, dict[int, dict[str, Any]]]) -> None:
    """Shorter ones within 2%, longer ones within the bounds, which do not claim more."""
    for tau in TAUS:
        truth, told = curves[tau][tau]["tokens_per_step"], curves[recorded][tau]
        if tau < recorded:
            assert told["basis"] == "replay"
            assert told["tokens_per_step"] == pytest.approx(truth, rel=0.02)
        if tau > recorded:
            assert (told["basis"], told["identified"]) == ("bounds", False)
        assert told["low"] <= truth <= told["high"]


def ms_per_token(tau: int) -> float:
    """Of the recorded steps that drafted; the first step of a request also reads the prompt."""
    steps = pl.concat(b.steps for o in sdtrace.read(FOLDER / f"timed-{tau}.jsonl.gz") for b in o.batches())
    steps = steps.filter(pl.col("step") > 0)
    return float(steps["step_ms"].sum() / steps["output_token_ids"].list.len().sum())


@pytest.mark.slow
def test_the_best_length_is_the_measured_best() -> None:
    """The lengths took turns request by request, so that whatever else the machine did met all of them."""
    measured = {tau: ms_per_token(tau) for tau in TAUS}
    best = min(measured, key=lambda tau: measured[tau])
    for recorded in (4, 8):
        told = sdtrace.report(FOLDER / f"timed-{recorded}.jsonl.gz").document["tuning"]["tau"]
        assert told["best"] == best
        assert told["gain_low"] <= measured[recorded] / measured[best] - 1 <= told["gain_high"]
