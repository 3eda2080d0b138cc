"""SGLang's own verification on CPU tensors, recorded and judged (tests/sglang/trees.py).

    python -m pytest tests/sglang

in an environment that has SGLang 0.5.23 (without its CUDA parts), Triton, torch and this package.
"""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

MISSING = [name for name in ("sglang", "triton", "torch") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed here: {', '.join(MISSING)}")


@pytest.mark.parametrize(
    ("law", "rule"),
    [("ratio", "ratio"), ("block", "block"), ("tree-chain", "tree-coin"), ("tree", "tree-coin"), ("greedy", "greedy")],
)
def test_every_decision_is_explained(law: str, rule: str, tmp_path: Path) -> None:
    from sdtrace import report

    driver = str(Path(__file__).with_name("trees.py"))
    command = [sys.executable, driver, str(tmp_path), "--law", law, "--rows", "600"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = report(str(tmp_path)).document
    assert json.loads(done.stdout.splitlines()[-1])["law"] == law
    assert found["audit"]["laws"].keys() == {rule}
    assert found["audit"]["tested"] > 0
    assert found["audit"]["disagree"] == 0
    assert [cause for cause in found["causes"] if cause["side"] == "wrong"] == []
