"""The state of nights: counted once, amended, locked, never corrupt; pages that can be made again from it alone."""

import fcntl
import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sdtrace import report
from sdtrace.cli import run
from sdtrace.history import state as states
from sdtrace.history.state import opened
from tests.made.nights import Plan, day, write_night

SAMPLE = Path(__file__).parents[2] / "sample_logs" / "transformers-sampled.jsonl.gz"


def nightly(tmp: Path, *args: str | Path, page: bool = False) -> int:
    pages = ["-o", str(tmp / "pages")] if page else []
    return run(["nightly", *map(str, args), "--state", str(tmp / "state"), "-q", *pages])


def totals(tmp: Path) -> dict[str, int]:
    """Steps of every night, as its record says."""
    with opened(tmp / "state") as state:
        return {r["night"]: sum(s["figures"]["steps"] for s in r["services"].values()) for r in state.records()}


def steps(path: Path) -> int:
    return sum('"kind":"step"' in line for line in path.read_text().splitlines())


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[list[Path]]:
    folder = tmp_path_factory.mktemp("logs")
    return [write_night(folder, i, Plan(tested=150)) for i in range(8)]


@pytest.mark.slow
def test_a_night_counts_once(tmp_path: Path, logs: list[list[Path]]) -> None:
    chat, code = logs[0]
    assert nightly(tmp_path, chat, code) == 0
    before = totals(tmp_path)
    assert before == {day(0): steps(chat) + steps(code)}
    packed = tmp_path / "chat.log.1.gz"
    packed.write_bytes(gzip.compress(chat.read_bytes()))
    renamed = shutil.copy(code, tmp_path / "renamed.jsonl")
    assert nightly(tmp_path, chat, packed, renamed) == 0
    assert totals(tmp_path) == before


@pytest.mark.slow
def test_a_log_that_grew_is_counted_from_where_it_ended(tmp_path: Path, logs: list[list[Path]]) -> None:
    """Run and request lines of the part that was counted still explain the steps behind it."""
    lines = logs[0][0].read_text().splitlines(keepends=True)
    log = tmp_path / "engine.jsonl"
    log.write_text("".join(lines[:60]))
    assert nightly(tmp_path, log) == 0
    first = totals(tmp_path)[day(0)]
    log.write_text("".join(lines))
    assert nightly(tmp_path, log) == 0
    assert totals(tmp_path) == {day(0): steps(log)}
    assert first < steps(log)
    with opened(tmp_path / "state") as state:
        amended = state.report(day(0)).document
    whole = report(log).document
    assert amended["audit"] == whole["audit"]
    assert amended["verdict"]["headline"] == whole["verdict"]["headline"]


@pytest.mark.slow
def test_late_data_amends_its_night(tmp_path: Path, logs: list[list[Path]]) -> None:
    for i in range(3):
        assert nightly(tmp_path, logs[i][0]) == 0
    assert nightly(tmp_path, logs[1][1], page=True) == 0
    assert list(totals(tmp_path)) == [day(0), day(1), day(2)]
    with opened(tmp_path / "state") as state:
        amended = state.report(day(1)).document
    whole = report(logs[1]).document
    assert amended["audit"] == whole["audit"]
    for name in ("tokens_per_step", "rate_of_drafted"):
        assert amended["acceptance"]["ci"][name] == pytest.approx(whole["acceptance"]["ci"][name])
    assert [c["state"] for c in amended["checks"]] == [c["state"] for c in whole["checks"]]


@pytest.mark.slow
def test_data_of_a_closed_night_is_named_and_not_counted(
    tmp_path: Path, logs: list[list[Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(7):
        assert nightly(tmp_path, logs[i][0]) == 0
    before = totals(tmp_path)
    assert nightly(tmp_path, logs[0][1]) == 1
    assert f"too late, its night is closed: {logs[0][1]}" in capsys.readouterr().err
    assert totals(tmp_path) == before
    assert not list((tmp_path / "state" / "nights").glob(f"{day(0)}.*/audit"))
    assert nightly(tmp_path, logs[0][1], "--night", day(7)) == 0
    assert totals(tmp_path)[day(7)] == steps(logs[0][1])


@pytest.mark.slow
def test_many_nights_in_one_call_fall_apart_by_their_times(tmp_path: Path, logs: list[list[Path]]) -> None:
    assert nightly(tmp_path, *(path for night in logs[:3] for path in night)) == 0
    assert totals(tmp_path) == {day(i): sum(steps(p) for p in logs[i]) for i in range(3)}


@pytest.mark.slow
def test_two_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "state").mkdir()
    with (tmp_path / "state" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert nightly(tmp_path, SAMPLE) == 6
    assert "another run holds this state" in capsys.readouterr().err
    assert nightly(tmp_path, SAMPLE) == 0


@pytest.mark.slow
def test_states_that_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nightly(tmp_path, SAMPLE) == 0
    manifest = tmp_path / "state" / "manifest.json"
    good = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(good | {"format": 99, "version": "9.9"}))
    assert nightly(tmp_path, SAMPLE) == 2
    assert "format 99, written by sdtrace 9.9" in capsys.readouterr().err
    manifest.write_text(json.dumps(good))
    next((tmp_path / "state" / "nights").glob("*/record.json")).write_text("{}")
    assert nightly(tmp_path, SAMPLE) == 2
    assert "damaged" in capsys.readouterr().err
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").touch()
    assert run(["nightly", str(SAMPLE), "--state", str(other)]) == 2
    assert run(["nightly", "--rebuild", "--state", str(tmp_path / "none")]) == 2


@pytest.mark.slow
def test_an_older_state_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert nightly(tmp_path, SAMPLE) == 0
    before = totals(tmp_path)
    monkeypatch.setattr(states, "FORMAT", states.FORMAT + 1)
    monkeypatch.setitem(states.MIGRATIONS, states.FORMAT - 1, lambda manifest: manifest | {"moved": True})
    assert totals(tmp_path) == before
    written = json.loads((tmp_path / "state" / "manifest.json").read_text())
    assert written["moved"]
    assert written["format"] == states.FORMAT


@pytest.mark.slow
def test_pages_can_be_made_again_from_the_state(tmp_path: Path, logs: list[list[Path]]) -> None:
    for i in range(3):
        assert nightly(tmp_path, *logs[i], page=True) == 0
    pages = tmp_path / "pages"
    written = {p.name: p.read_bytes() for p in pages.iterdir()}
    assert {"index.html", "latest.html", f"{day(0)}.html", f"{day(2)}.json"} <= written.keys()
    assert os.readlink(pages / "latest.html") == f"{day(2)}.html"
    shutil.rmtree(pages)
    assert nightly(tmp_path, "--rebuild", page=True) == 0
    assert {p.name: p.read_bytes() for p in pages.iterdir()} == written


@pytest.mark.slow
def test_a_page_that_a_killed_run_left_behind_is_written(tmp_path: Path, logs: list[list[Path]]) -> None:
    assert nightly(tmp_path, *logs[0]) == 0
    assert nightly(tmp_path, *logs[1]) == 0
    assert nightly(tmp_path, *logs[1], page=True) == 0
    assert (tmp_path / "pages" / f"{day(0)}.html").is_file()


@pytest.mark.slow
def test_old_nights_are_forgotten(tmp_path: Path, logs: list[list[Path]]) -> None:
    for i in range(4):
        assert nightly(tmp_path, logs[i][0], page=True) == 0
    assert nightly(tmp_path, logs[4][0], "--retention", "2", page=True) == 0
    assert list(totals(tmp_path)) == [day(3), day(4)]
    assert not (tmp_path / "pages" / f"{day(0)}.html").exists()
    assert len(list((tmp_path / "state" / "nights").iterdir())) == 2


def test_a_fault_is_named_the_same_night_and_a_known_one_is_quiet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Plan(
        fault=lambda s, i: "lenience-0.7" if s == "code" and i >= 2 else None,
        version=lambda s, i: "2.0" if i >= 2 else "1.0",
        tested=300,
    )
    folder = tmp_path / "logs"
    codes = [nightly(tmp_path, *write_night(folder, i, plan), page=True) for i in range(3)]
    assert codes == [0, 0, 1]
    found = json.loads((tmp_path / "pages" / f"{day(2)}.json").read_text())["history"]
    alarm = "cause:lenient-acceptance:code"
    assert [a["since"] for a in found["alarms"] if a["id"] == alarm] == [day(2)]
    marks = {s["service"]: s["marks"] for s in found["services"]}
    assert marks["code"] == [{"night": day(2), "changed": ["engine_version 1.0 -> 2.0"]}]
    assert "engine_version 1.0 -&gt; 2.0" in (tmp_path / "pages" / "index.html").read_text()
    assert nightly(tmp_path, "--acknowledge", "cause:nothing:code", "--until", day(3)) == 2
    assert alarm in capsys.readouterr().err
    known = [a["id"] for a in found["alarms"]]
    args: list[Any] = [x for a in known for x in ("--acknowledge", a)]
    assert nightly(tmp_path, *args, "--until", day(3), "--why", "ticket 7") == 0
    assert nightly(tmp_path, *write_night(folder, 3, plan), page=True) == 0
    assert f"until {day(3)}: ticket 7" in (tmp_path / "pages" / f"{day(3)}.html").read_text()
    assert nightly(tmp_path, *write_night(folder, 4, plan)) == 1


class Crash:
    """Stands in for a function of the state: the n-th call to any of them ends the run."""

    def __init__(self, at: int) -> None:
        self.at = at

    def before(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any) -> Any:
            self.at -= 1
            if self.at == 0:
                raise KeyboardInterrupt
            return real(*args)

        return called


@pytest.mark.slow
def test_ended_anywhere_the_state_is_the_old_one_or_the_new_one(tmp_path: Path, logs: list[list[Path]]) -> None:
    """A run ends before each flush and each replacement of a commit, one by one; tests/nights/ kills for real."""
    assert nightly(tmp_path, *logs[0]) == 0
    before = totals(tmp_path)
    both = before | {day(1): sum(map(steps, logs[1]))}
    ended = 0
    for at in range(1, 80):
        crash = Crash(at)
        with pytest.MonkeyPatch.context() as patch:
            for name in ("_flush", "_manifest_to"):
                patch.setattr(states, name, crash.before(getattr(states, name)))
            code = nightly(tmp_path, *logs[1])
        assert totals(tmp_path) in (before, both)
        if code == 0:
            break
        ended += 1
    assert ended > 5
    assert totals(tmp_path) == both
