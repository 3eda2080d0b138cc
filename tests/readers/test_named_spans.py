"""Spans of a profile that the user names: their parts, before names that are known; a part that there is not is refused."""

import json
from pathlib import Path

import pytest

from sdtrace.cli import run


def profile(folder: Path) -> Path:
    """Three steps of 20 ms: 4 ms of `mine::propose 1`, 12 ms of `Forward`, 3 ms of `pick`."""
    rows = [("mine::propose 1", 0, 4), ("Forward", 4, 12), ("pick", 16, 3)]
    events = [
        {
            "ph": "X",
            "name": name,
            "ts": 1000 * (20 * step + at),
            "dur": 1000 * ms,
            "pid": 7,
            "tid": 1,
            "cat": "user_annotation",
        }
        for step in range(3)
        for name, at, ms in rows
    ]
    path = folder / "profile.json"
    path.write_text(json.dumps({"traceEvents": events}))
    return path


def parts(path: Path, folder: Path, *spans: str) -> dict[str, float | None]:
    flags = [word for one in spans for word in ("--span", one)]
    assert run(["report", str(path), "-q", "--json", str(folder / "found.json"), *flags]) == 0
    time = json.loads((folder / "found.json").read_text())["time"]
    return {name: time[f"{name}_ms"] for name in ("draft", "verify", "sample")}


@pytest.mark.slow
def test_names_of_ones_own(tmp_path: Path) -> None:
    path = profile(tmp_path)
    assert parts(path, tmp_path)["draft"] is None
    named = parts(path, tmp_path, "draft=mine::propose*", "sample=pick")
    assert named == pytest.approx({"draft": 4.0, "verify": 12.0, "sample": 3.0})
    # the user's names come before those that are known, and hold for that command alone
    assert parts(path, tmp_path, "verify=mine::propose ?", "sample=Forward")["verify"] == pytest.approx(4.0)
    assert parts(path, tmp_path)["draft"] is None


@pytest.mark.parametrize("slip", ["draft", "propose=x", "verify="])
def test_a_part_that_there_is_not(slip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(profile(tmp_path)), "--span", slip]) == 2
    said = capsys.readouterr().err
    assert f"invalid --span '{slip}'" in said
    assert "draft, verify, sample, step" in said
