"""The tour of the README, as it stands there: every command runs on the samples and leads where its words say."""

import re
import shlex
from pathlib import Path

import pytest

from sdtrace.cli import run

TOP = Path(__file__).parents[2]


def lines() -> list[str]:
    """The commands of the tour, those behind `&&` too."""
    section = (TOP / "README.md").read_text().partition("## A tour")[2].partition("\n## ")[0]
    return [part for line in re.findall(r"^    (.+)", section, re.MULTILINE) for part in line.split("&&")]


#: command -> its exit code, and what it prints or leaves.
LEADS = {
    "report sample_logs/vllm": (0, "HEALTHY"),
    "report sample_logs/transformers-lenient": (1, "WRONG"),
    "explain": (0, "accepted"),
    "tune": (0, "draft length"),
    "diff": (1, "REGRESSED"),
    "nightly": (0, "pages/index.html"),
    "grafana": (0, "board.json"),
    "alerts": (0, "rules.yml"),
    "help": (0, "START WITH VLLM"),
}


def test_the_tour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sample_logs").symlink_to(TOP / "sample_logs")
    monkeypatch.chdir(tmp_path)
    begun, *commands = lines()
    assert begun == ". .venv/bin/activate"
    for command, (start, (code, leads)) in zip(commands, LEADS.items(), strict=True):
        words = shlex.split(command, comments=True)
        assert " ".join(words[1:]).startswith(start)
        assert run(words[1:]) == code, command
        printed = capsys.readouterr().out
        assert (tmp_path / leads).is_file() if "." in leads else leads in printed, command
