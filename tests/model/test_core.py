"""The script that is carried to a GPU runs on a CPU, in small: passes of three shapes agree, wrong contexts do not."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_three_ways_to_run_the_same_tokens() -> None:
    command = [
        sys.executable,
        str(ROOT / "tests/replay/gpu.py"),
        "--device",
        "cpu",
        "--dtype",
        "float32",
        "--size",
        "tiny",
    ]
    small = ["--requests", "2", "--tokens", "16", "--repeat", "1"]
    done = subprocess.run(
        [*command, *small], capture_output=True, text=True, check=False, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert all(one["positions"] > 0 and one["most"] < 1e-3 for one in found["moved"].values())
    faults = found["faults"]
    assert all(one["outside_the_band"] > 0.5 for one in faults.values())
    assert all(one["told_from_every_other"] for one in faults.values())
