"""Draft lengths from printed shares: by hand from the line, priced only by what is measured or given."""

from pathlib import Path
from typing import Any

import pytest

from sdtrace.api import tune
from sdtrace.cli import run
from tests.made.speed_lines import DECODE, vllm

#: 0.7, 0.5, 0.3 of the steps accept a position: 1 + 0.7, + 0.5, + 0.3; behind them at most 0.3 a position
CURVE = {
    0: (1.0, 1.0, 1.0),
    1: (1.7, 1.7, 1.7),
    2: (2.2, 2.2, 2.2),
    3: (2.5, 2.5, 2.5),
    4: (None, 2.5, 2.8),
    6: (None, 2.5, 3.4),
}


def tuned(path: Path, text: str, **asked: Any) -> dict[str, Any]:
    path.write_text(text)
    found: dict[str, Any] = tune(str(path), **asked).document
    return found


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "server.log"


def test_every_shorter_draft_by_hand(log: Path) -> None:
    """Steps of 100 ms at 3 drafted tokens (2.5 tokens at 25 tokens/s): 2 are faster below 2.2 / 2.5 of them."""
    tau = tuned(log, vllm([(100.0, 4)] * 4, spec=True))["tuning"]["tau"]
    points = {p["tau"]: p for p in tau["curve"]}
    for length, (value, low, high) in CURVE.items():
        got = [points[length][n] for n in ("tokens_per_step", "low", "high")]
        assert got == [None if value is None else pytest.approx(value), pytest.approx(low), pytest.approx(high)]
        assert points[length]["basis"] == ("bounds" if value is None else "exact")
    assert (tau["current"], tau["best"]) == (3, None)
    assert "not in the counts" in tau["why_no_best"]
    assert (points[3]["step_ms"], points[3]["cost_basis"]) == (pytest.approx(100.0), "measured")
    assert points[2]["step_ms"] is None
    assert points[2]["break_even_step_ms"] == pytest.approx(88.0)


def test_a_given_price_decides(log: Path) -> None:
    """1 + 0.3 a token: 1/1, 1.7/1.3, 2.2/1.6, 2.5/1.9: two are the fastest, 2.2/1.6 over 2.5/1.9 is 4.5% more."""
    found = tuned(log, vllm([(100.0, 4)] * 4, spec=True), draft_cost=0.3)["tuning"]
    assert (found["tau"]["best"], found["tau"]["gain"]) == (2, pytest.approx(2.2 / 1.6 / (2.5 / 1.9) - 1))
    assert '"num_speculative_tokens": 2' in found["advice"][0]["setting"]


def test_a_plain_step_and_the_measured_one_price_those_between(log: Path) -> None:
    """40 ms plain, 100 ms at 3: 60, 80 between; plain decoding makes 1/40, three 2.5/100, one 1.7/60."""
    found = tuned(log, vllm([(100.0, 4)] * 4, spec=True), baseline_ms=40.0)["tuning"]["tau"]
    points = {p["tau"]: (p["cost"], p["cost_basis"]) for p in found["curve"]}
    assert points[0] == (40.0, "given")
    assert points[1] == (pytest.approx(60.0), "assumed")
    assert points[3] == (pytest.approx(100.0), "measured")
    assert found["best"] == 1


def test_a_mean_alone_bounds_the_rest(log: Path) -> None:
    """SGLang prints 2.00 at 0.50 and 2.50 at 0.75, so k = 2: of 1.25 accepted tokens at least half lie on the first position."""
    lines = [DECODE.format(s=s) + "\n" for s in range(10, 50, 5)]
    other = [
        line.replace("accept len: 2.00, accept rate: 0.50", "accept len: 2.50, accept rate: 0.75") for line in lines
    ]
    found = tuned(log, "".join((lines[i], other[i])[i % 2] for i in range(8)))["tuning"]["tau"]
    points = {p["tau"]: p for p in found["curve"]}
    assert found["current"] == 2
    assert (points[1]["tokens_per_step"], points[1]["low"], points[1]["high"]) == (None, 1.625, 2.0)
    assert points[2]["tokens_per_step"] == 2.25


@pytest.mark.slow
def test_what_counts_nothing_says_so(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.write_text(vllm([(100.0, 4)] * 4, spec=False))
    assert run(["tune", str(log)]) == 0
    assert "no count or mean of accepted tokens by step" in capsys.readouterr().out
    log.write_text(vllm([(100.0, 4)] * 4, spec=True))
    assert run(["tune", str(log)]) == 0
    assert "BEST DRAFT LENGTH" in capsys.readouterr().out
