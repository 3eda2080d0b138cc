"""The state folder in hostile hands: nothing is removed that is not its own, no damage is silent, none loses a night.

SDTRACE_FLIPS=1000 flips as many bits of every file; the default is a sample.
"""

import errno
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sdtrace.cli import run
from sdtrace.history import audit_store, clock
from sdtrace.history import manifest as manifests
from sdtrace.history import state as states
from sdtrace.history.recover import recovered
from sdtrace.history.services import without_credentials
from sdtrace.history.state import opened
from tests.made.nights import Plan, day, write_night

FLIPS = int(os.environ.get("SDTRACE_FLIPS", "3"))
OLD = Path(__file__).parents[1] / "golden" / "state-format-1.tar.xz"


def nightly(state: Path, *args: str | Path) -> int:
    return run(["nightly", *map(str, args), "--state", str(state), "-q"])


def tree(folder: Path) -> dict[str, bytes | str | None]:
    """Every name in a folder with what it holds, but for the lock, which holds nothing."""
    found: dict[str, bytes | str | None] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        else:
            found[name] = path.read_bytes() if path.is_file() else None
    return found


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[list[Path]]:
    folder = tmp_path_factory.mktemp("logs")
    return [write_night(folder, i, Plan(tested=20)) for i in range(7)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, logs: list[list[Path]]) -> Path:
    """A state of six nights, the first of them closed, the last of them amended."""
    place = tmp_path_factory.mktemp("made") / "state"
    for i in range(6):
        assert nightly(place, logs[i][0]) == 0
    assert nightly(place, logs[5][1]) == 0
    return place


@pytest.fixture
def state(tmp_path: Path, made: Path) -> Path:
    return shutil.copytree(made, tmp_path / "state")


def nights(state: Path) -> list[str]:
    with opened(state) as found:
        return found.nights()


# -- what is not ours


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


# -- damage


def flipped(state: Path, times: int, but: tuple[str, ...] = ()) -> Iterator[Path]:
    """Every file of the state, `but` those of some nights, with a bit flipped, `times` times each; then it is whole again."""
    dice = random.Random(5)
    files = [f for f in sorted(state.rglob("*")) if f.is_file() and f.stat().st_size]
    for file in (f for f in files if not any(night in str(f) for night in but)):
        whole = file.read_bytes()
        for _ in range(times):
            bit = dice.randrange(8 * len(whole))
            data = bytearray(whole)
            data[bit // 8] ^= 1 << bit % 8
            file.write_bytes(data)
            yield file
        file.write_bytes(whole)


def test_no_flipped_bit_is_silent_or_loses_a_night(
    state: Path, logs: list[list[Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    """A state error that names the file and tells how to go on; nothing in the folder is changed."""
    before = tree(state)
    flips = 0
    for file in flipped(state, FLIPS):
        hurt = tree(state) if flips % 97 == 0 else None
        code = nightly(state, logs[6][0])
        said = capsys.readouterr().err
        assert code == 2, (file, said)
        assert str(file) in said
        assert "--recover" in said or "newer one" in said
        assert hurt is None or tree(state) == hurt
        flips += 1
    assert flips >= 60 * FLIPS
    assert tree(state) == before
    assert nightly(state, logs[6][0]) == 0
    assert len(nights(state)) == 7


@pytest.mark.parametrize("name", [manifests.MANIFEST, manifests.MARKER])
def test_a_lost_file_of_the_state_is_named(state: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (state / name).unlink()
    before = tree(state)
    assert nightly(state, "--rebuild") == 2
    said = capsys.readouterr().err
    assert str(state / name) in said
    assert tree(state) == before
    assert nightly(state, "--recover") == 0
    assert nights(state)[:5] == [day(i) for i in range(5)]


@pytest.mark.slow
def test_damage_of_every_file_can_be_recovered_from(tmp_path: Path, state: Path) -> None:
    """Whatever one file is damaged: at most its own night is set aside, and nothing is gone from the folder."""
    one = tmp_path / "one"
    for file in flipped(state, 1, but=(day(1), day(2), day(3))):
        shutil.copytree(state, one)
        said = " ".join(recovered(one))
        assert "et aside" in said or "written again" in said, file
        left = nights(one)
        hit = file.relative_to(state).parts[1][:10] if file.parent != state else day(5)
        assert set(left) >= {day(i) for i in range(6)} - {hit}
        if file.name in (manifests.MARKER, manifests.OWNER, manifests.PREVIOUS) or "audit" in file.parts:
            assert len(left) == 6
        kept = set(tree(one).values())
        mine = {name: data for name, data in tree(state).items() if name.startswith("nights/")}
        assert not [name for name, data in mine.items() if data not in kept and not name.endswith(manifests.OWNER)]
        assert recovered(one) == []
        shutil.rmtree(one)


def test_a_damaged_manifest_falls_back_on_the_one_before(state: Path, logs: list[list[Path]]) -> None:
    """The last commit amended a night: it is as it was before, and the inputs can be given again."""
    (state / manifests.MANIFEST).write_bytes(b"\0" * 100)
    assert nightly(state, "--recover") == 0
    assert len(nights(state)) == 6
    assert list((state / "set-aside").glob(f"{day(5)}.*"))
    assert nightly(state, logs[5][1]) == 0
    with opened(state) as found:
        assert set(found.record(day(5))["services"]) == {"chat", "code"}


def test_without_any_manifest_there_is_no_going_on(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (manifests.MANIFEST, manifests.PREVIOUS):
        (state / name).write_text("{}")
    before = tree(state)
    assert nightly(state, "--recover") == 2
    assert "manifest.json: damaged" in capsys.readouterr().err
    assert tree(state) == before


def test_the_previous_manifest_names_what_is_there(state: Path, logs: list[list[Path]]) -> None:
    """Not what was closed, amended or forgotten by the last commit alone."""
    for i, args in enumerate([(logs[6][0],), (logs[6][1],), (logs[6][1], "--retention", "3")]):
        assert nightly(state, *args) == 0, i
        previous = manifests.read(state / manifests.PREVIOUS, states.FORMAT, "", {})
        for entry in previous["nights"].values():
            assert manifests.unsound(state, entry) == []
    assert set(previous["nights"]) == {day(4), day(5), day(6)}


def test_a_manifest_is_read_whatever_it_says_of_paths(state: Path) -> None:
    """With a checksum that is right: no name in it may leave the folder, or be of no night."""
    good = manifests.read(state / manifests.MANIFEST, states.FORMAT, "", {})
    entry = good["nights"][day(0)]
    record = entry["files"]["record.json"]
    bad: dict[str, Any]
    for bad in (
        {"nights": {"../../x": entry}},
        {"nights": {"20260901": entry}},
        {"nights": {day(0): entry | {"folder": "../victim"}}},
        {"nights": {day(1): entry}},
        {"nights": {day(0): entry | {"files": entry["files"] | {"../../x": record}}}},
        {"nights": {day(0): entry | {"files": entry["files"] | {"record.json": "0"}}}},
        {"nights": {day(0): {"folder": entry["folder"]}}},
        {"nights": []},
        {"acknowledged": [{"alarm": 3}]},
        {"id": "x"},
    ):
        (state / manifests.MANIFEST).write_bytes(manifests.dumped(good | bad))
        assert nightly(state, "--rebuild") == 2, bad


# -- format 1


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(clock, "now", lambda: 1.795e9)  # 2026-11-18: its nights are of that September
    with tarfile.open(OLD) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "state"


def test_an_old_state_is_taken_over(old: Path, logs: list[list[Path]]) -> None:
    before = {name: data for name, data in tree(old).items() if name.startswith("nights/")}
    assert nightly(old, "--rebuild") == 0
    after = tree(old)
    assert before.items() <= after.items()
    written = json.loads((old / manifests.MANIFEST).read_text())
    assert (written["format"], len(written["nights"])) == (states.FORMAT, 6)
    assert all(manifests.OWNER in entry["files"] for entry in written["nights"].values())
    assert (old / manifests.MARKER).is_file()
    assert nightly(old, logs[6][0], "--night", "2026-09-07", "--retention", "1") == 0
    assert nights(old) == ["2026-09-07"]
    assert len(list((old / "nights").iterdir())) == 1


def test_an_old_state_is_taken_over_after_a_kill_on_the_way(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = manifests.write
    for at in range(9):
        calls: list[Path] = []

        def write(file: Path, data: bytes, calls: list[Path] = calls, at: int = at) -> None:
            calls.append(file)
            if len(calls) > at:
                raise KeyboardInterrupt
            real(file, data)

        monkeypatch.setattr(manifests, "write", write)
        code = nightly(old, "--rebuild")
    assert code == 0
    assert len(nights(old)) == 6


def test_an_old_state_that_is_not_wholly_its_own_is_not_taken_over(
    old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = next((old / "nights").iterdir())
    for hurt in (old / "nights" / "diary.txt", first / "notes.txt", old / "mine.txt"):
        hurt.write_text("the user's own")
        before = tree(old)
        assert nightly(old, "--rebuild") == 2
        assert str(hurt) in capsys.readouterr().err
        assert tree(old) == before
        hurt.unlink()
    record = first / "record.json"
    whole = record.read_bytes()
    record.write_bytes(whole.replace(b"a", b"b", 1))
    before = tree(old)
    assert nightly(old, "--rebuild") == 2
    assert f"{record}: damaged" in capsys.readouterr().err
    assert tree(old) == before


@pytest.mark.parametrize("name", ["record.json", "audit/steps.parquet"])
def test_a_damaged_old_state_can_be_recovered_from(old: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = next((old / "nights").glob("2026-09-05.*")) / name
    file.write_bytes(b"damaged")
    assert nightly(old, "--rebuild") == 2
    assert f"{file}: damaged" in capsys.readouterr().err
    assert nightly(old, "--recover") == 0
    assert "set aside" in capsys.readouterr().err
    assert len(nights(old)) == (5 if name == "record.json" else 6)
    assert b"damaged" in set(tree(old / "set-aside").values())
    assert nightly(old, "--recover") == 0


def test_a_newer_state_is_not_recovered(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its manifest is whole, and the one before it of this format: it is left to the version that wrote it."""
    good = manifests.read(state / manifests.MANIFEST, states.FORMAT, "", {})
    (state / manifests.MANIFEST).write_bytes(manifests.dumped(good | {"format": states.FORMAT + 1}))
    before = tree(state)
    assert nightly(state, "--recover") == 2
    assert tree(state) == before


# -- private


def test_a_state_is_its_owners(tmp_path: Path, logs: list[list[Path]]) -> None:
    before = os.umask(0o022)
    try:
        assert nightly(tmp_path / "state", logs[0][0]) == 0
    finally:
        os.umask(before)
    modes = {p.relative_to(tmp_path): stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "state").rglob("*")}
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert modes.pop(Path("state/nights")) == 0o700
    assert all(mode & 0o022 == 0 for mode in modes.values())
    assert {mode for path, mode in modes.items() if len(path.parts) == 2} == {0o600}


def test_of_config_only_what_is_listed_is_kept(tmp_path: Path) -> None:
    """Names and settings; no key, no address with a password, no nested value, in no file of the state and on no page."""
    secret = "canary-7391"
    config = {
        "deployment": f"https://user:{secret}@host/chat?key={secret}",
        "tensor_parallel_size": 2,
        "api_key": secret,
        "flags": f"--api-key {secret}",
        "gpu": {"name": "H100", "serial": secret},
        "image": f"https://{secret}@registry/engine:1#{secret}",
        "recorder": {"dropped": 3, secret: 1},
    }
    chat, _ = write_night(tmp_path / "logs", 0, Plan(tested=20))
    lines = chat.read_text().splitlines()
    head = json.loads(lines[0])
    assert head["kind"] == "run"
    chat.write_text("\n".join([json.dumps(head | {"config": config}), *lines[1:]]))
    assert nightly(tmp_path / "state", chat, "-o", tmp_path / "pages") == 0
    with opened(tmp_path / "state") as state:
        service = state.record(day(0))["services"]["https://host/chat"]
        assert service["parts"]["config.tensor_parallel_size"] == "2"
        assert service["parts"]["config.image"] == "https://registry/engine:1"
        audit = state.audit(day(0))
        assert audit is not None
        assert secret not in str(audit.runs)
        assert secret not in str(state.report(day(0)))
    for file in (f for f in tmp_path.rglob("*") if f.is_file() and f != chat):
        assert secret.encode() not in file.read_bytes(), file


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("prometheus://user:pass@host:9090/x?token=1#y", "prometheus://host:9090/x"),
        ("s3://key:se/cret@bucket/a.jsonl", "s3://bucket/a.jsonl"),
        ("/var/log/a?b@c#d.jsonl", "/var/log/a?b@c#d.jsonl"),
        ("http://host" + "/://@" * 500, "http://"),
    ],
    ids=lambda x: x[:20],
)
def test_an_address_is_kept_without_credentials(address: str, kept: str) -> None:
    assert without_credentials(address) == kept


def test_an_old_record_gives_away_no_more(old: Path) -> None:
    """What an older version kept of `config` is not shown, and no deploy is seen in that it is not."""
    with opened(old) as state:
        services = [record["services"]["chat"] for record in state.records()]
        assert b"sk-not-a-real-one" in next((old / "nights").glob("2026-09-06.*/record.json")).read_bytes()
    assert all("api_key" not in str(s) and s["parts"]["config.tensor_parallel_size"] == "2" for s in services)
    assert len({s["fingerprint"] for s in services}) == 1


def test_a_service_of_any_name_is_a_service(tmp_path: Path) -> None:
    names = ["../../x", "a\0b/CON", "x" * 5000 + "\x1b[31m", "/etc/日本"]
    for i, name in enumerate(names):
        chat, _ = write_night(tmp_path / "logs", i, Plan(tested=20))
        lines = chat.read_text().splitlines()
        head = json.loads(lines[0]) | {"config": {"deployment": name}}
        chat.write_text("\n".join([json.dumps(head), *lines[1:]]))
        assert nightly(tmp_path / "state", chat, "-o", tmp_path / "pages") == 0, name
    with opened(tmp_path / "state") as state:
        assert all(len(name) <= 200 and name.isprintable() for r in state.records() for name in r["services"])
    pages = {f"{day(i)}.{ending}" for i in range(len(names)) for ending in ("html", "json")}
    assert {p.name for p in (tmp_path / "pages").iterdir()} == pages | {"index.html", "latest.html", ".pages.json"}
    assert {p.name for p in tmp_path.iterdir()} == {"logs", "state", "pages"}
