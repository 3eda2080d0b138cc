"""The manual's page of screens: each is what its command prints, and what is pasted from it runs."""

import io
import os
import re
import shlex
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from sdtrace.audit.live import Live
from sdtrace.cli import run
from sdtrace.render import live

TOP = Path(__file__).resolve().parents[2]

#: A screen of the page: its command, and what stands below it, as it is printed.
SCREEN = re.compile(r"^    (sdtrace [^\n]*)\n\n```text\n(.*?)```$", re.MULTILINE | re.DOTALL)

#: What is shown below a sentence, as it is drawn.
BLOCK = re.compile(r"```text\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def screens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the page on screens speaks of: a clone of this repository."""
    made = tmp_path_factory.mktemp("screens")
    shutil.copytree(TOP / "sample_logs", made / "sample_logs", ignore=shutil.ignore_patterns("make"))
    return made


@pytest.mark.slow
def test_the_screens_are_what_is_printed(
    screens: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """24 lines of 80 columns of each verb; `SDTRACE_GOLDEN=write` renews them. Each command on them runs when pasted."""
    monkeypatch.chdir(screens)
    monkeypatch.setenv("COLUMNS", "80")
    page = TOP / "templates" / "manual" / "screens.md"
    text = page.read_text("utf-8")
    found = SCREEN.findall(text)
    assert {command.split()[1] for command, _ in found} == {"report", "diff", "explain", "tune", "nightly"}
    for command, shown in found:
        assert run(shlex.split(command)[1:]) in (0, 1)
        printed = "".join(f"{line}\n" for line in capsys.readouterr().out.splitlines()[:24])
        if os.environ.get("SDTRACE_GOLDEN") == "write":
            text = text.replace(f"{command}\n\n```text\n{shown}```", f"{command}\n\n```text\n{printed}```")
        else:
            assert shown == printed, command
        pasted = re.findall(r"^ +(sdtrace .*)$", printed, re.MULTILINE)
        for line in pasted:
            assert run(shlex.split(line)[1:]) in (0, 1), line
            capsys.readouterr()
    if os.environ.get("SDTRACE_GOLDEN") == "write":
        page.write_text(text, "utf-8")


def watched() -> tuple[str, str]:
    """The screen of `watch` on 80 columns after the recorded scrapes of a server, and the line of the last of them."""
    scrapes: dict[float, list[str]] = {}
    for text in (TOP / "sample_logs" / "engines" / "vllm-metrics.prom").read_text("utf-8").splitlines(keepends=True):
        scrapes.setdefault(int(text.split()[-1]) / 1000, []).append(text)
    seen = Live("http://127.0.0.1:8000/metrics")
    for at, lines in scrapes.items():
        seen.take("".join(lines), at)
    out = io.StringIO()
    Console(file=out, width=80, color_system=None).print(live.screen(seen, 80))
    return "".join(f"{text.rstrip()}\n" for text in out.getvalue().splitlines()), f"{live.line(seen)}\n"


@pytest.mark.slow
def test_the_screen_of_a_watch_is_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """24 lines of 80 columns, no history cut at its end, which is now; `SDTRACE_GOLDEN=write` renews it."""
    monkeypatch.setattr(live, "sys", SimpleNamespace(stdout=SimpleNamespace(encoding="utf-8")))
    page = TOP / "templates" / "manual" / "screens.md"
    told, rest = page.read_text("utf-8").split("## A live engine")
    drawn = watched()
    if os.environ.get("SDTRACE_GOLDEN") == "write":
        new = iter(drawn)
        rest = BLOCK.sub(lambda _: f"```text\n{next(new)}```", rest)
        page.write_text(f"{told}## A live engine{rest}", "utf-8")
    assert tuple(BLOCK.findall(rest)) == drawn
    lines = drawn[0].splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert "\u2026" not in drawn[0]
