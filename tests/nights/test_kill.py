"""SIGKILL at random points of nightly runs: the state is never corrupt, no night is lost, none counts twice.

Outside the default run: minutes. SDTRACE_KILLS chooses how many (200).
"""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from sdtrace.history.state import opened
from tests.made.nights import Plan, day, write_night

KILLS = int(os.environ.get("SDTRACE_KILLS", "200"))


def command(files: list[Path], tmp: Path) -> list[str]:
    paths = [str(f) for f in files]
    return [
        sys.executable,
        "-m",
        "sdtrace",
        "nightly",
        *paths,
        "--state",
        str(tmp / "state"),
        "-o",
        str(tmp / "out"),
        "-q",
    ]


def totals(tmp: Path) -> dict[str, int]:
    """Steps by night; reads every file of the state against its digest."""
    with opened(tmp / "state") as state:
        for night in state.nights():
            state.report(night)
            state.audit(night)
        return {r["night"]: sum(s["figures"]["steps"] for s in r["services"].values()) for r in state.records()}


def test_killed_at_random_points(tmp_path: Path) -> None:
    dice = random.Random(7)
    plan = Plan(tested=60)
    expected: dict[str, int] = {}
    kills = survived = night = 0
    files = write_night(tmp_path / "logs", 0, plan)
    began = time.monotonic()
    subprocess.run(command(files, tmp_path), check=True, capture_output=True)
    usual = time.monotonic() - began
    expected[day(0)] = sum(f.read_text().count('"kind":"step"') for f in files)
    while kills < KILLS:
        if day(night) in totals(tmp_path):
            night += 1
            files = write_night(tmp_path / "logs", night, plan)
            expected[day(night)] = sum(f.read_text().count('"kind":"step"') for f in files)
        child = subprocess.Popen(command(files, tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            # the first half is imports: most kills fall into the work itself
            child.wait(usual * dice.uniform(0.3, 1.2))
            assert child.returncode == 0
            survived += 1
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            kills += 1
        found = totals(tmp_path)
        assert {n: s for n, s in expected.items() if n != day(night)} == {
            n: s for n, s in found.items() if n != day(night)
        }
        assert found.get(day(night)) in (None, expected[day(night)])
    subprocess.run(command(files, tmp_path), check=True, capture_output=True)
    assert totals(tmp_path) == expected
    left = {p.name for p in (tmp_path / "state").iterdir()}
    assert left == {"lock", "manifest.json", "manifest.previous.json", "sdtrace-state.json", "nights"}
    print(f"\n{kills} kills, {survived} runs that ended first, {len(expected)} nights, none lost or doubled")
