"""The terminal: what matters on the first screen of 24 lines by 80 columns, tables that are aligned and whole, colour only where asked."""

import gzip
import re
import shlex
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from sdtrace.api import report
from sdtrace.cli import progress, run
from sdtrace.cli.progress import Bar
from sdtrace.readers.listening import listening
from sdtrace.render import html, terminal
from sdtrace.render.tables import Cell, table
from sdtrace.schema.trace import DAMAGED

TOP = Path(__file__).parents[2]
#: From the top of the repository: a longer path would not fit a line.
SAMPLES = Path("sample_logs")
PLANTED = str(SAMPLES / "transformers-lenient-0.8.planted.jsonl.gz")
SCREENS: dict[str, tuple[list[str], str]] = {
    "report": (["report", PLANTED], r"WRONG "),
    "a log": (["report", str(SAMPLES / "engines" / "vllm.log")], r"CANNOT TELL|HEALTHY"),
    "diff": (["diff", *(str(SAMPLES / "change" / f"tau-{k}.jsonl.gz") for k in (2, 6))], r"REGRESSED "),
    "explain": (["explain", PLANTED], r"Requests worth a look"),
    "tune": (["tune", str(SAMPLES / "transformers-greedy.jsonl.gz")], r"best "),
}
#: Screens that end in something to do.
FOUND = ("report", "a log", "diff", "explain", "nightly")


@pytest.fixture(autouse=True)
def screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(TOP)


def lines_of(args: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert run(args) in (0, 1, 4)
    return capsys.readouterr().out.splitlines()


def assert_screen(lines: list[str], first: str, *, found: bool) -> None:
    shown = lines[:24]
    assert re.match(first, shown[0])
    # commands are never broken, everything else fits
    assert [line for line in lines if len(line) > 80 and not line.strip().startswith("sdtrace ")] == []
    commands = [line.strip() for line in shown if line.strip().startswith("sdtrace ")]
    assert not found or len(commands) == 1
    assert "\x1b" not in "".join(lines), "no terminal, no colour"


@pytest.mark.one_of(6)
@pytest.mark.parametrize("name", SCREENS)
def test_the_first_screen(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    args, first = SCREENS[name]
    assert_screen(lines_of(args, capsys), first, found=name in FOUND)


@pytest.mark.slow
def test_the_first_screen_of_a_night(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(["nightly", PLANTED, "--state", str(tmp_path / "state"), "--night", "2026-11-23"], capsys)
    assert_screen(lines, r"WRONG ", found=True)
    assert any(re.match(r"night +2026-11-23: 2 alarms active", line) for line in lines[:24])


@pytest.mark.slow
def test_what_a_run_declares_is_shown_by_its_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It has no line of its own to point at."""
    trace = str(tmp_path / "fly.jsonl")
    assert run(["simulate", "healthy", trace, "--law", "fly", "--tested", "40"]) == 0
    text = " ".join(" ".join(lines_of(["report", trace, "-o", str(tmp_path / "r.html")], capsys)).split())
    assert "lenient-acceptance; first: run simulated: rule fly" in text


ROWS = [["[red]a[/red]", "1", "two words"], ["]b", "12", "w" * 40], ["c", "-", ""]]


def test_a_table_is_aligned_and_reads_no_markup() -> None:
    lines = table(["name", "n", "what"], ROWS, width=60, color=False, wrapped=2)
    assert lines[0] == "  name           n  what"
    assert lines[1] == "  [red]a[/red]   1  two words"
    assert lines[2].startswith("  ]b")
    assert all(len(line) <= 60 for line in lines)
    assert "w" * 40 in "".join(line.strip() for line in lines).replace(" ", "")


def test_columns_that_do_not_fit_are_counted() -> None:
    lines = table([f"column {i}" for i in range(12)], [[str(i) for i in range(12)]], width=60, color=False)
    assert lines[-1] == "  and 6 more columns in --json and -o"
    assert lines[1].split() == ["0", "1", "2", "3", "4", "5"]


def test_colour_is_for_those_who_ask() -> None:
    rows: list[list[Cell]] = [["a", ("+3%", "green")]]
    assert re.search(r"\x1b\[32m +\+3%", table(["x", "change"], rows, width=60, color=True)[1])
    assert "\x1b" not in "".join(table(["x", "change"], rows, width=60, color=False))


def test_progress_has_rate_and_time_left() -> None:
    out = StringIO()
    bar = Bar("lines", Console(file=out, force_terminal=True, width=100, legacy_windows=False), after=0.0)
    with bar.closing():
        for done in range(0, 1000, 100):
            bar.at("reading a.jsonl", done, 2000)
            assert bar.drawn is not None
            bar.drawn.refresh()
        drawn = bar.drawn
        assert drawn is not None
        (task,) = drawn.tasks
        assert (task.completed, task.total) == (900, 2000)
        assert task.speed
        bar.at("reading a.jsonl", 2500, 2000)
        assert task.total == 2500, "an estimate is not overrun"
        bar.at("reading a.jsonl", None, 2000)
        assert drawn.tasks == []
    assert "reading a.jsonl" in out.getvalue()
    assert "lines" in out.getvalue()
    assert "/s" in out.getvalue()


@pytest.mark.slow
def test_nothing_is_drawn_in_the_first_second_or_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    bar = Bar("lines", after=1e9)
    bar.at("reading", 5, 10)
    assert bar.drawn is None
    with progress.stages() as told:
        assert told is None
    assert run(["report", PLANTED]) == 1
    assert "reading" not in capsys.readouterr().err


@pytest.mark.slow
def test_what_to_do_where_nothing_is_accused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Healthy or not to be told: one next step, its command runs as it is pasted; a damaged file is to be got again."""
    half = tmp_path / "half.json.gz"
    half.write_bytes((SAMPLES / "profiles" / "vllm-0.32-ngram.json.gz").read_bytes()[:3000])
    begun = tmp_path / "begun.log"
    whole = gzip.decompress((SAMPLES / "vllm-server.log.gz").read_bytes())
    begun.write_bytes(b"".join(whole.splitlines(keepends=True)[:26]))
    for path, says, command in (
        (SAMPLES / "vllm-server.log.gz", "to check correctness, record more", "sdtrace detect "),
        (SAMPLES / "profiles" / "vllm-0.32-ngram.json.gz", "a profile counts no tokens", "sdtrace help profiles"),
        (begun, "give a log that covers some minutes of traffic", "sdtrace detect "),
        (half, f"get {half} again", None),
    ):
        lines = lines_of(["report", str(path)], capsys)[:24]
        at = next(i for i, line in enumerate(lines) if line.startswith("next "))
        assert says in " ".join(" ".join(lines[at : at + 4]).split()), path
        found = [line.strip() for line in lines if line.strip().startswith("sdtrace ")]
        assert len(found) == (command is not None)
        for line in found:
            assert line.startswith(str(command))
            assert run(shlex.split(line)[1:]) == 0
            capsys.readouterr()


@pytest.mark.slow
def test_a_damaged_file_comes_before_what_it_makes_suspect() -> None:
    """Causes that are only suspected from a part of a file: the file is to be got again, and no place in it is pointed at."""
    found = report(SAMPLES / "transformers-sampled.jsonl.gz")
    rows = [cause for cause in found.document["causes"] if cause["certainty"] == "suspected"]
    notices = [{"what": DAMAGED, "where": "a.gz", "advice": "get it again", "count": 1, "line": 1, "kind": "damaged"}]
    inputs = [found.document["inputs"][0] | {"path": "a.gz", "notices": notices}]
    state = found.document["verdict"] | {"state": "cannot-tell", "headline": "too few steps"}
    cut = replace(
        found, document=found.document | {"causes": rows, "inputs": inputs, "verdict": state, "incident": None}
    )
    assert rows
    lines = terminal.summary(cut, width=80, color=False).splitlines()
    steps = [line for line in lines if line.startswith("next ")]
    assert steps[0].startswith("next     get a.gz again")
    assert set(steps[1:]) == {"next     judge this again from the whole file"}
    assert not [line for line in lines if line.strip().startswith("sdtrace ")]
    page = html.page(cut).decode()
    assert page.index("get a.gz again") < page.index("judge this again")
    assert "get a.gz again" not in html.page(found).decode()


def test_an_address_that_refuses_is_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "http://127.0.0.1:9/metrics"]) == 3
    assert "no answer (connection refused, or no such host)" in capsys.readouterr().err


@pytest.mark.slow
def test_every_reading_command_tells_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(Bar, "at", lambda self, what, done, total: drawn.append(what))
    trace = str(SAMPLES / "transformers-greedy.jsonl.gz")
    for args in (
        ["convert", trace, "-o", str(tmp_path / "a.jsonl")],
        ["convert", trace, "--openmetrics", str(tmp_path / "a.om")],
        ["bundle", trace, "-o", str(tmp_path / "a.zip")],
    ):
        drawn.clear()
        assert run([*args, "-q"]) == 0
        assert drawn == [], "quiet"
        assert run(args) == 0
        assert f"reading {trace}"[:30] in drawn[0], args


@pytest.mark.slow
def test_readers_tell_how_far_they_are() -> None:
    told: list[tuple[str, int | None, int | None]] = []
    log = str(SAMPLES / "engines" / "vllm.log")
    with listening(lambda *one: told.append(one)):
        assert run(["report", log, "-q", "--exit-zero"]) == 0
    path, last, about = told[-2]
    assert path == log
    assert last == len(Path(log).read_text().splitlines())
    assert about is not None
    assert told[-1] == (log, None, about)
