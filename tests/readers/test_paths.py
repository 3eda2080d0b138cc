"""What a path can stand for besides a file: each is read once, or told, and nothing waits for ever."""

import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from sdtrace.api import report
from sdtrace.cli import run
from sdtrace.errors import NoInputError
from sdtrace.limits import within
from sdtrace.readers import open_inputs
from sdtrace.readers.io import paths, streams

SAMPLE = Path(__file__).resolve().parents[2] / "sample_logs" / "paper-case.csv"


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Copies of streams in a folder of their own, and no long wait for a writer."""
    monkeypatch.setattr(streams, "WAIT", 0.1)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


def _inputs(folder: Path) -> Path:
    folder.mkdir()
    (folder / "case.csv").write_bytes(SAMPLE.read_bytes())
    return folder


def _losses(where: Path) -> dict[str, str]:
    """What the inputs below a folder that are not read are lost for, by name."""
    found = report(where).document["inputs"]
    assert [i["steps"] for i in found if i["path"].endswith("case.csv")] == [1]
    assert all(x["advice"] for i in found for x in i["losses"])
    return {Path(i["path"]).name: i["losses"][-1]["what"] for i in found if i["losses"]}


def test_what_a_folder_holds_beside_files(tmp_path: Path) -> None:
    folder = _inputs(tmp_path / "in")
    (folder / "gone.csv").symlink_to("nowhere")
    (folder / "circle").symlink_to("circle")
    (folder / "up").symlink_to("..", target_is_directory=True)
    os.mkfifo(folder / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket"))
    assert _losses(folder) == {
        "gone.csv": "a link to nothing",
        "circle": "links that lead in a circle",
        "in": "a link that leads back to a folder above it",
        "fifo": "a FIFO that nobody writes into",
        "socket": "a socket, not a file",
    }


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests may run as root, who may list everything."""
    folder = _inputs(tmp_path / "in")
    (folder / "shut").mkdir()
    listed, named = Path.iterdir, os.listdir

    def open_to_me(what: Path | str) -> Path | str:
        if str(what).endswith("shut"):
            raise PermissionError(13, "Permission denied")
        return what

    monkeypatch.setattr(Path, "iterdir", lambda p: listed(open_to_me(p)))
    monkeypatch.setattr(os, "listdir", lambda p: named(open_to_me(p)))
    assert _losses(folder) == {"shut": "a folder that cannot be listed: Permission denied"}
    with pytest.raises(NoInputError, match="cannot be listed"):
        report(folder / "shut")


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/random", "/dev/null", "/dev/tty"])
def test_devices_are_no_files(path: str, tmp_path: Path) -> None:
    if not os.path.exists(path):
        pytest.skip(f"{path} is not there")
    with pytest.raises(NoInputError, match="a device, not a file") as told:
        report(path)
    assert "sdtrace report -" in told.value.hint
    (tmp_path / "link").symlink_to(path)
    assert run(["detect", str(tmp_path / "link")]) == 3


def test_a_fifo_is_read_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    def write() -> None:
        time.sleep(0.05)
        with (tmp_path / "fifo").open("wb") as out:
            for piece in (SAMPLE.read_bytes()[:20], SAMPLE.read_bytes()[20:]):
                out.write(piece)
                out.flush()
                time.sleep(0.05)

    threading.Thread(target=write, daemon=True).start()
    (opened,) = open_inputs([str(tmp_path / "fifo")])
    assert opened.format == "paper-csv"
    assert [sum(b.steps.height for b in opened.batches()) for _ in range(2)] == [1, 1]
    (again,) = open_inputs([str(tmp_path / "fifo")])
    assert again.source.file == opened.source.file
    assert len(list((tmp_path / "tmp").iterdir())) == 1
    streams.forget()
    assert not list((tmp_path / "tmp").iterdir())


def test_a_fifo_without_a_writer_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(NoInputError, match="nobody writes into"):
        report(tmp_path / "fifo")


@pytest.mark.one_of(3)
@pytest.mark.parametrize(("path", "how"), [("-", "pipe"), ("/dev/stdin", "pipe"), ("/dev/fd/0", "file")])
def test_standard_input_by_every_name(path: str, how: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sdtrace", "report", path, "-q", "--json", "-"]
    env = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    if how == "pipe":
        done = subprocess.run(command, input=SAMPLE.read_bytes(), capture_output=True, env=env, check=True)
    else:
        with SAMPLE.open("rb") as stream:
            done = subprocess.run(command, stdin=stream, capture_output=True, env=env, check=True)
    assert b'"steps": 1' in done.stdout or b'"steps":1' in done.stdout
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.slow
def test_what_a_command_prints_is_an_input(tmp_path: Path) -> None:
    line = f"{sys.executable} -m sdtrace diff <(cat {SAMPLE}) <(cat {SAMPLE}) -q"
    env = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    done = subprocess.run(["bash", "-c", line], capture_output=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.slow
def test_a_stream_without_an_end_is_cut_and_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    def write() -> None:
        with (tmp_path / "fifo").open("wb", buffering=0) as out:  # nothing is left to be written when it is closed
            try:
                out.write(SAMPLE.read_bytes())
                while True:
                    out.write(b"1,0.5,0.5,0.1\n" * 1000)
            except BrokenPipeError:
                return

    threading.Thread(target=write, daemon=True).start()
    with within(max_unpacked=1 << 20):
        (found,) = report(tmp_path / "fifo").document["inputs"]
    assert any("a stream of more than 1M" in x["what"] and "--max-unpacked" in x["advice"] for x in found["losses"])


def test_an_endless_device_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/zero", "rb") as zeros:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(zeros))
        with pytest.raises(NoInputError, match="a device"):
            report("-")


@pytest.mark.slow
def test_a_copy_goes_after_an_error_and_a_signal(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sdtrace", "report", "-", "-q"]
    env = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    done = subprocess.run(command, input=b"nothing that is known\n", capture_output=True, env=env, check=False)
    assert done.returncode == 3
    assert not list((tmp_path / "tmp").iterdir())
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env) as child:
        assert child.stdin is not None
        child.stdin.write(b"x" * 100_000)
        child.stdin.flush()
        until = time.monotonic() + 30
        while not list((tmp_path / "tmp").iterdir()) and time.monotonic() < until:
            time.sleep(0.02)
        assert list((tmp_path / "tmp").iterdir())
        child.send_signal(signal.SIGTERM)
        child.stdin.close()
        child.wait(30)
    assert not list((tmp_path / "tmp").iterdir())


def test_a_loop_of_links_is_walked_once(tmp_path: Path) -> None:
    folder = _inputs(tmp_path / "in")
    (folder / "deep").mkdir()
    for n in range(12):
        (folder / "deep" / f"again{n}").symlink_to(folder, target_is_directory=True)
    assert len(paths.expand([str(folder)])) == 13
