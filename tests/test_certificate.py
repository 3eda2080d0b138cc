"""A certificate holds as it was written, and no part of it can be changed unseen."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sdtrace.certificate import certificate, digest, problems
from sdtrace.cli import run

TOP = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificate")
    for fault in ("text-healthy", "text-stale"):
        assert run(["simulate", fault, str(folder / f"{fault}.jsonl"), "--tested", "500", "--vocab", "200"]) == 0
        run(["report", str(folder / f"{fault}.jsonl"), "-q", "--certificate", str(folder / f"{fault}.json")])
    trace = TOP / "sample_logs" / "transformers-sampled.jsonl.gz"
    run(["report", str(trace), "-q", "--certificate", str(folder / "trace.json"), "--exit-zero"])
    return folder


@pytest.mark.one_of(3)
@pytest.mark.parametrize("name", ["text-healthy", "text-stale", "trace"])
def test_it_holds(name: str, made: Path) -> None:
    found = json.loads((made / f"{name}.json").read_text())
    assert problems(found, made) == []
    assert found["evidence"]
    assert found["bound"]["wrong_share_at_most"] or found["bound"]["bias_per_token_at_most"]


def changed(found: dict[str, Any], what: str) -> dict[str, Any]:
    """One lie, with a fresh digest: whoever writes certificates by hand computes it too."""
    if what == "verdict":
        found["verdict"] = "healthy"
    elif what == "bound":
        found["bound"]["bias_per_token_at_most"] = 0.001
    elif what == "observed":
        next(e for e in found["evidence"] if "bets" in e)["observed"] += 100
    elif what == "bets":
        for e in found["evidence"]:
            e["bets"] = [0.0] * len(e["bets"])
    elif what == "input":
        found["inputs"][0]["sha256"] = "0" * 64
    elif what == "n":
        next(e for e in found["evidence"] if "bets" in e)["n"] *= 10
    found["digest"] = digest(found)
    return found


@pytest.mark.parametrize("what", ["verdict", "bound", "observed", "bets", "input", "n"])
def test_no_lie_passes(what: str, made: Path) -> None:
    found = changed(json.loads((made / "text-stale.json").read_text()), what)
    assert problems(found, made)


def test_the_digest_is_of_everything(made: Path) -> None:
    found = json.loads((made / "text-healthy.json").read_text())
    found["not_checked"] = []
    assert any("digest" in p for p in problems(found, made))


@pytest.mark.slow
def test_the_command(made: Path) -> None:
    def check(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "sdtrace.certificate", *args], capture_output=True, text=True, check=False
        )

    assert check(str(made / "text-healthy.json")).returncode == 0
    (made / "none.json").write_text("[1, 2")
    assert check(str(made / "none.json")).returncode == 2
    assert "Traceback" not in check(str(made / "none.json")).stderr
    assert check().returncode == 2


def test_nothing_tested_is_nothing_certified() -> None:
    document = {"verdict": {"state": "healthy", "not_checked": []}, "causes": [], "inputs": []}
    assert any("nothing was tested" in p for p in problems(certificate(document), Path()))
