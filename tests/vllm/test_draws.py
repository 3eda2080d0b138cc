"""Streams of seeds against vLLM's own kernels in Triton's interpreter (tests/vllm/draws.py), where its files are installed."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.made.stand_ins import MISSING

GONE = [name for name in ("vllm", "triton", "torch") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(GONE), reason=f"not installed here: {', '.join(GONE)}")


def test_seeded_draws_are_the_engines_own() -> None:
    """Hashes and uniforms bit for bit, float64 noise too; every token that it verifies is explained, by another seed few are."""
    driver = str(Path(__file__).with_name("draws.py"))
    done = subprocess.run([sys.executable, driver], capture_output=True, text=True, check=False)
    if done.returncode == MISSING:
        pytest.skip(done.stdout.splitlines()[-1])
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["words"] == found["uniforms"] == found["tests"] == found["n"]
    assert found["noise"] < 1e-5
    assert found["noise_fp64"] < 1e-12
    for told in (found["float32"], found["fp64"]):
        assert told["explained"] == told["tokens"] > 50
        assert told["by_the_next_seed"] < told["tokens"] / 2
