"""The state folder: nothing is removed that is not its own, and a run that is stopped leaves nothing begun."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sdtrace.history import audit_store
from sdtrace.history import manifest as manifests
from sdtrace.history import state as states
from tests.made.nights import day
from tests.made.states import nightly, nights, tree


def users(folder: Path) -> Path:
    (folder / "nights" / f"{day(0)}.0123abcd").mkdir(parents=True)
    (folder / "nights" / f"{day(0)}.0123abcd" / "record.json").write_text("the user's own")
    (folder / "nights" / "diary.txt").write_text("the user's own")
    return folder


def no_manifest(folder: Path) -> None:
    """nights/ alone."""


def of_another_tool(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"name": "a web page"}')


def of_another_state(folder: Path) -> None:
    text = {"tool": "sdtrace", "format": 1, "version": "0.1.0", "nights": {}, "acknowledged": []}
    (folder / "manifest.json").write_text(json.dumps(text))


def with_a_path_outside(folder: Path) -> None:
    files = {"record.json": "0" * 64, "report.json.zst": "0" * 64}
    nights = {day(0): {"folder": "../../victim", "files": files}}
    text = {"tool": "sdtrace", "format": 1, "version": "0.1.0", "nights": nights, "acknowledged": []}
    (folder / "manifest.json").write_text(json.dumps(text))


@pytest.mark.parametrize("also", [no_manifest, of_another_tool, of_another_state, with_a_path_outside])
def test_a_folder_of_the_users_is_left_alone(tmp_path: Path, logs: list[list[Path]], also: Any) -> None:
    folder = users(tmp_path / "mine")
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "record.json").write_text("{}")
    also(folder)
    before = tree(tmp_path)
    assert nightly(folder, logs[0][0]) == 2
    assert nightly(folder, "--rebuild") == 2
    assert nightly(folder, "--recover") == 2
    assert {name: data for name, data in tree(tmp_path).items() if not name.endswith("lock")} == before


def test_not_even_a_lock_is_put_into_a_folder_of_the_users(tmp_path: Path, logs: list[list[Path]]) -> None:
    folder = users(tmp_path / "mine")
    assert nightly(folder, logs[0][0]) == 2
    of_another_tool(folder)
    assert nightly(folder, logs[0][0]) == 2
    assert not (folder / "lock").exists()


@pytest.mark.slow
def test_what_a_user_puts_into_a_state_stays(state: Path, tmp_path: Path, logs: list[list[Path]]) -> None:
    users(state)
    own = next(p for p in (state / "nights").glob(f"{day(0)}.*") if p.name != f"{day(0)}.0123abcd")
    (own / "notes.txt").write_text("the user's own")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "record.json").write_text("the user's own")
    (state / "nights" / f"{day(1)}.89abcdef").symlink_to(tmp_path / "elsewhere")
    assert nightly(state, logs[6][0], "--retention", "1") == 0
    assert nights(state) == [day(6)]
    kept = tree(tmp_path)
    assert kept[f"state/nights/{day(0)}.0123abcd/record.json"] == b"the user's own"
    assert kept["state/nights/diary.txt"] == kept[f"state/nights/{own.name}/notes.txt"] == b"the user's own"
    assert kept["elsewhere/record.json"] == b"the user's own"


@pytest.mark.slow
def test_leftovers_of_a_killed_run_go(state: Path) -> None:
    whole = next((state / "nights").glob(f"{day(5)}.*"))
    shutil.copytree(whole, state / "nights" / f"{day(6)}.00000000")
    begun = state / "nights" / f"{day(6)}.00000001"
    begun.mkdir()
    (begun / manifests.OWNER).write_bytes((whole / manifests.OWNER).read_bytes()[:5])
    (state / ".manifest.json.0123abcd").write_text("half")
    assert len(nights(state)) == 6
    left = tree(state)
    assert not [name for name in left if day(6) in name or "0123abcd" in name]


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 2, 9], ids="the {}. flush".format)
def test_a_run_that_is_stopped_leaves_nothing_begun(
    state: Path, logs: list[list[Path]], monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """SIGTERM arrives as an error: the folder of the night goes before the process does."""
    before = tree(state)
    calls: list[Path] = []

    def flush(path: Path) -> None:
        calls.append(path)
        if len(calls) == at:
            raise KeyboardInterrupt

    monkeypatch.setattr(states, "_flush", flush)
    assert nightly(state, logs[6][0]) == 130
    assert len(calls) == at
    assert tree(state) == before


@pytest.mark.slow
def test_a_full_disk_leaves_the_state_as_it_was(
    state: Path, logs: list[list[Path]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(state)
    for error in (OSError(errno.ENOSPC, "No space left on device"), pl.exceptions.ComputeError("No space left")):

        def save(*_: Any, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(audit_store, "save", save)
        assert nightly(state, logs[6][0]) == 2
        assert "No space left" in capsys.readouterr().err
        assert tree(state) == before


@pytest.mark.slow
def test_sigterm_leaves_no_temporary_file(tmp_path: Path, logs: list[list[Path]]) -> None:
    """Standard input is kept in one while a night is counted."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "sdtrace", "nightly", "-", "--state", str(tmp_path / "state")]
    environment = os.environ | {"TMPDIR": str(temporary)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as child:
        assert child.stdin is not None
        child.stdin.write(logs[0][0].read_bytes() * 20)
        child.stdin.flush()
        for _ in range(600):
            if any(f.is_file() for f in temporary.rglob("*")):
                break
            time.sleep(0.1)
        else:
            pytest.fail("standard input is not kept in TMPDIR")
        child.send_signal(signal.SIGTERM)
        child.stdin.close()
        assert child.wait(60) == 128 + signal.SIGTERM
    assert list(temporary.iterdir()) == []
    assert nights(tmp_path / "state") == []
