"""`sdtrace simulate`: made traces of the product's own simulator, which shares no code with the one of the tests."""

import json
from pathlib import Path

import pytest

from sdtrace.cli import run
from sdtrace.errors import UsageError
from sdtrace.simulate import FAULTS, LAWS, Settings, simulate
from tests.made.pairs import in_turn
from tests.power.judge import at_level, judged, made

#: Tested positions that show a fault with everything logged, where 600 do not.
LARGER = {
    "recovery-reuses-draw": 1200,
    "draft-top-k": 4000,
    "draft-temperature": 1500,
    "leaning-draws": 6000,
    "recovered-other-q": 2000,
    "residual-squared": 1500,
    "residual-argmax": 1500,
    "lenience-one-adapter": 6000,
    "lenience-one-rank": 6000,
    "lenience-first-steps": 6000,
}


@pytest.mark.parametrize("name", [n for n in FAULTS if n not in ("healthy", "shared-noise")])
def test_faults_are_named(name: str) -> None:
    level = "rows" if name == "recovery-reuses-draw" else "draws"
    tested = LARGER.get(name, 600)
    trace = made(Settings(name, tested=tested, vocab=256 if tested < 1500 else 128, level=level, seed=5))
    assert judged(trace).causes[:1] == (FAULTS[name].cause,)


@pytest.mark.parametrize(("law", "dtype"), in_turn(list(LAWS), ["float32", "bfloat16", "decimals:3"], of=3))
def test_healthy_traces_are_not_accused(law: str, dtype: str) -> None:
    trace = made(Settings("healthy", law=law, tested=800, vocab=128, dtype=dtype, seed=6))
    for level in ("basic", "draws"):
        assert judged(at_level(trace, level, law)).causes == ()


def test_a_trace_is_written_and_read(tmp_path: Path) -> None:
    out = tmp_path / "made.jsonl"
    arguments = [
        "simulate",
        "lenience",
        str(out),
        "--tested",
        "500",
        "--vocab",
        "64",
        "--strength",
        "0.6",
        "--seed",
        "3",
    ]
    assert run(arguments) == 0
    assert run([*arguments[:2], str(tmp_path / "again.jsonl"), *arguments[3:]]) == 0
    assert out.read_bytes() == (tmp_path / "again.jsonl").read_bytes()
    assert run(["report", str(out), "-q", "--json", str(tmp_path / "found.json")]) == 1
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["causes"][0]["cause"] == "lenient-acceptance"
    assert found["inputs"][0]["losses"] == []
    assert run(["simulate", "healthy", str(tmp_path / "folder"), "--tested", "200", "--vocab", "64"]) == 0
    assert run(["report", str(tmp_path / "folder"), "-q"]) == 0


def test_what_cannot_be_made_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", "--list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in FAULTS)
    with pytest.raises(UsageError, match="no such fault"):
        list(simulate(Settings("nonsense")))
    with pytest.raises(UsageError, match="under the greedy law"):
        list(simulate(Settings("lenience", law="greedy")))
    assert run(["simulate", "lenience"]) == 2
