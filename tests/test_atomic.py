"""Outputs: whole or not at all, never in place of what is no plain file or of an input."""

import gzip
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sdtrace import atomic
from sdtrace.cli import run
from sdtrace.errors import OutputError

CASE = str(Path(__file__).resolve().parents[1] / "sample_logs" / "paper-case.csv")


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    "command",
    [
        ["report", CASE, "-q", "-o", "OUT/x.html"],
        ["report", CASE, "-q", "--json", "OUT/x.json"],
        ["explain", CASE, "--json", "OUT/x.json"],
        ["convert", CASE, "OUT/x.jsonl"],
        ["convert", CASE, "OUT/x.jsonl.gz"],
        ["convert", CASE, "OUT/folder"],
        ["convert", CASE, "--openmetrics", "OUT/x.om"],
        ["bundle", CASE, "-o", "OUT/x.zip", "--content", "ids"],
        ["simulate", "healthy", "OUT/x.jsonl", "--tested", "30"],
    ],
    ids=lambda c: " ".join(Path(x).name for x in c),
)
@pytest.mark.usefixtures("umask")
def test_modes_follow_the_umask_and_existing_ones_are_kept(command: list[str], tmp_path: Path) -> None:
    command = [part.replace("OUT", str(tmp_path)) for part in command]
    out = next(Path(part) for part in command if part.startswith(str(tmp_path)))
    assert run(command) == 0
    assert mode(out) == (0o750 if out.is_dir() else 0o640)
    if out.is_file():
        out.chmod(0o604)
        before = out.read_bytes()
        assert run(command) == 0
        assert mode(out) == 0o604
        assert out.read_bytes() == before
    assert hidden(tmp_path) == []


def test_a_symlink_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link, target = tmp_path / "link", tmp_path / "there" / "page"
    link.symlink_to("there/page")
    atomic.write(link, b"1")
    atomic.write(link, b"2")
    assert (link.is_symlink(), target.read_bytes()) == (True, b"2")
    assert {path.name for path in (tmp_path / "there").iterdir()} == {"page"}
    with pytest.raises(OutputError, match="leads out of"):
        atomic.write(link, b"3", inside=tmp_path / "elsewhere")


def test_a_fifo_is_written_to(tmp_path: Path) -> None:
    pipe, heard = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: heard.append(pipe.read_bytes()))
    reader.start()
    assert run(["report", CASE, "-q", "--json", str(pipe)]) == 0
    reader.join(30)
    assert heard[0].startswith(b"{")
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.slow
def test_a_device_is_written_to(tmp_path: Path) -> None:
    device = Path("/dev/null")
    if os.getuid() == 0:  # a device of our own: where this fails, root would replace the machine's
        device = tmp_path / "device"
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    assert run(["report", CASE, "-q", "-o", str(device)]) == 0
    assert run(["report", CASE, "-q", "--json", str(device)]) == 0
    (tmp_path / "null").symlink_to(device)
    atomic.write(tmp_path / "null", b"x")
    assert (tmp_path / "null").is_symlink()
    assert stat.S_ISCHR(device.stat().st_mode)


@pytest.mark.slow
def test_an_open_descriptor_is_written_to(tmp_path: Path) -> None:
    """What the shell opened gets the bytes, at the end of what is there."""
    out = tmp_path / "out"
    out.write_text("before\n")
    command = f"exec {sys.executable} -m sdtrace report {CASE} -q --json /dev/stdout >> {out}"
    subprocess.run(["sh", "-c", command], check=True)
    assert out.read_text().startswith('before\n{\n  "format": 1')


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(OutputError) as refused:
            atomic.write(tmp_path / "socket", b"x")
        assert "socket" in refused.value.hint
        assert stat.S_ISSOCK((tmp_path / "socket").stat().st_mode)
    (tmp_path / "round").symlink_to("round")
    for name in ("round", ".", "no/such/folder"):
        with pytest.raises(OutputError):
            atomic.write(tmp_path / name, b"x")
    assert hidden(tmp_path) == []


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trace that is read without a temporary file."""
    plain = tmp_path_factory.mktemp("sample") / "plain.jsonl"
    plain.write_bytes(gzip.decompress(Path(CASE).with_name("transformers-greedy.jsonl.gz").read_bytes()))
    return plain


@contextmanager
def little_room() -> Iterator[None]:
    """No file may grow beyond 2,000 bytes: the disk is full in the middle of an output.

    The limit holds for the whole process, pytest's own output included: it ends before the test does.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.one_of(3)
@pytest.mark.parametrize(
    "command",
    [
        ["report", CASE, "-q", "-o", "OUT/x.html"],
        ["convert", "SAMPLE", "OUT/x.jsonl"],
        ["convert", "SAMPLE", "OUT/x.jsonl.zst"],
        ["convert", "SAMPLE", "OUT/x"],
    ],
    ids=lambda c: " ".join(Path(x).name for x in c),
)
def test_a_full_disk_leaves_what_was_there(
    command: list[str], tmp_path: Path, sample: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [part.replace("OUT", str(tmp_path)).replace("SAMPLE", str(sample)) for part in command]
    out = Path(command[-1])
    if out.suffix:
        out.write_text("before")
    there = set(tmp_path.iterdir())
    with little_room():
        code = run(command)
    assert code == 2
    told = capsys.readouterr().err
    assert "File too large" in told
    assert "nothing half-written was left" in told
    assert set(tmp_path.iterdir()) == there
    if out.suffix:
        assert out.read_text() == "before"


def test_a_full_disk_of_temporary_files_is_no_fault_of_the_input(capsys: pytest.CaptureFixture[str]) -> None:
    with little_room():
        code = run(["report", str(Path(CASE).with_name("transformers-greedy.jsonl.gz")), "-q"])
    assert code == 3
    told = capsys.readouterr().err
    assert "no room for temporary files: File too large" in told
    assert "TMPDIR" in told


@pytest.mark.one_of(3)
@pytest.mark.parametrize("flags", [["-o", "/dev/full"], ["-q", "--json", "-"], []])
def test_no_room_is_said(flags: list[str]) -> None:
    command = [sys.executable, "-m", "sdtrace", "report", CASE, *flags]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_an_input_is_no_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = tmp_path / "case.csv"
    data = Path(CASE).read_bytes()
    case.write_bytes(data)
    (tmp_path / "hard").hardlink_to(case)
    (tmp_path / "soft").symlink_to(case)
    for name in ("case.csv", "hard", "soft", "../" + tmp_path.name + "/case.csv"):
        for inputs in (str(case), str(tmp_path), str(tmp_path / "c*.csv")):
            out = f"{tmp_path}/{name}"
            assert run(["report", inputs, "-q", "--json", out]) == 2
            assert "is the input" in capsys.readouterr().err
            assert case.read_bytes() == data
    (tmp_path / "case.jsonl").hardlink_to(case)
    assert run(["convert", str(case), str(tmp_path / "case.jsonl")]) == 2
    assert run(["diff", CASE, str(case), "-q", "--json", str(case)]) == 2
    assert case.read_bytes() == data


@pytest.mark.slow
def test_a_report_may_stand_beside_its_inputs(tmp_path: Path) -> None:
    (tmp_path / "case.csv").write_bytes(Path(CASE).read_bytes())
    for _ in range(2):
        assert run(["report", str(tmp_path), "-q", "-o", str(tmp_path / "report.html")]) == 0


@pytest.mark.parametrize(
    ("name", "told"),
    [("x.pdf", "HTML page, not pdf"), ("x.json", "--json"), ("x.md", "--markdown"), ("x.xml", "--junit")],
)
def test_a_page_is_html(name: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", CASE, "-q", "-o", str(tmp_path / name)]) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


_SLOW = """
import signal, sys, threading
from pathlib import Path
from sdtrace.writers import bundle
from sdtrace.writers import convert
from sdtrace.cli import main
import sdtrace.render.html as html
def stuck(*_, **__):
    print("begun", flush=True)
    threading.Event().wait(60)
convert.line = stuck
html.page = stuck
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests that run under nohup hand on that it is ignored
main(sys.argv[1:])
"""


@pytest.mark.one_of(3)
@pytest.mark.parametrize(
    ("command", "number"),
    [
        (["convert", "-", "OUT/x.jsonl"], signal.SIGHUP),
        (["convert", "-", "OUT/x.jsonl.zst"], signal.SIGTERM),
        (["report", "-", "-o", "OUT/x.html"], signal.SIGTERM),
    ],
    ids=["jsonl", "zst", "html"],
)
def test_a_stopped_command_leaves_nothing(command: list[str], number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "out").mkdir()
    command = [part.replace("OUT", str(tmp_path / "out")) for part in command]
    child = subprocess.Popen(
        [sys.executable, "-c", _SLOW, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp")},
    )
    assert child.stdout is not None
    assert child.stdin is not None
    child.stdin.write(Path(CASE).read_bytes())
    child.stdin.close()
    child.stdin = None
    while child.stdout.readline() != b"begun\n":
        assert child.poll() is None
    assert list((tmp_path / "tmp").iterdir()), "standard input is kept while it is needed"
    child.send_signal(number)
    _, told = child.communicate(timeout=60)
    assert child.returncode == 128 + number, told
    assert b"Traceback" not in told
    assert list((tmp_path / "tmp").iterdir()) == []
    assert list((tmp_path / "out").iterdir()) == []
