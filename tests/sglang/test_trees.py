"""SGLang's own verification on CPU tensors, recorded and judged (tests/sglang/trees.py).

    .ci/engine_parts FOLDER .venv/bin/python
    PYTHONPATH=FOLDER .venv/bin/python -m pytest tests/sglang

in an environment with the extra `replay`: the Python files of SGLang 0.5.23 without its CUDA parts, and Triton.
"""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.made.stand_ins import MISSING

GONE = [name for name in ("sglang", "triton", "torch") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(GONE), reason=f"not installed here: {', '.join(GONE)}")


@pytest.mark.parametrize(
    ("law", "rule"),
    [
        *(
            ("ratio", "ratio"),
            ("block", "block"),
            ("tree-chain", "tree-coin"),
            ("tree", "tree-coin"),
            ("greedy", "greedy"),
        ),
        *(("standalone", "tree-coin"), ("ngram", "tree-coin"), ("ngram-greedy", "greedy"), ("dflash", "tree-coin")),
        ("dflash-greedy", "greedy"),
    ],
)
def test_every_decision_is_explained(law: str, rule: str, tmp_path: Path) -> None:
    from sdtrace import report

    driver = str(Path(__file__).with_name("trees.py"))
    command = [sys.executable, driver, str(tmp_path), "--law", law, "--rows", "384"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == MISSING:
        pytest.skip(done.stdout.splitlines()[-1])
    assert done.returncode == 0, done.stderr[-2000:]
    found = report(str(tmp_path)).document
    assert json.loads(done.stdout.splitlines()[-1])["law"] == law
    assert found["audit"]["laws"].keys() == {rule}
    assert found["audit"]["tested"] > 0
    assert found["audit"]["disagree"] == 0
    assert [cause for cause in found["causes"] if cause["side"] == "wrong"] == []
