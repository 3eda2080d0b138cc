"""vLLM's own sampler in Triton's interpreter, right and made wrong, recorded and judged (tests/vllm/second.py).

    .ci/engine_parts FOLDER .venv/bin/python
    PYTHONPATH=FOLDER .venv/bin/python -m pytest tests/vllm/test_second.py

in an environment with the extra `replay`: the Python files of vLLM 0.33 without its CUDA parts, and Triton; about a row in 30 ms. The big
run is `python tests/vllm/second.py FOLDER --rows 20000`.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.made.stand_ins import MISSING
from tests.vllm.mutilated import CAUSES

GONE = [name for name in ("vllm", "triton", "torch") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(GONE), reason=f"not installed here: {', '.join(GONE)}")
#: Rows that show a fault; the noise of the draft in the recovered token is worth .02 of distribution a token.
ROWS = {"shared-noise": 8192}


def judged(folder: Path, *arguments: str, rows: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the run said, and the report of its trace."""
    from sdtrace import report

    driver = str(Path(__file__).with_name("second.py"))
    environment = os.environ | {"SDTRACE_RECORD_TOP": "48"}
    command = [sys.executable, driver, str(folder), "--rows", str(rows), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode == MISSING:
        pytest.skip(done.stdout.splitlines()[-1])
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1]), report(str(folder)).document


@pytest.mark.parametrize("law", ["ratio", "one-hot", "block", "fly", "synthetic"])
def test_every_decision_is_explained(law: str, tmp_path: Path) -> None:
    said, found = judged(tmp_path, "--law", law, rows=256)
    assert found["audit"]["rule"] == law
    assert found["audit"]["disagree"] == 0
    assert found["audit"]["tested"] > 0
    assert said["equal"] == said["drawn"] > 0
    assert said["recorded_equal"] == said["recorded"] > 0


@pytest.mark.parametrize("fault", CAUSES)
def test_a_kernel_made_wrong_is_named(fault: str, tmp_path: Path) -> None:
    _, found = judged(tmp_path, "--fault", fault, rows=ROWS.get(fault, 2048))
    assert found["incident"]["root"] == CAUSES[fault]
