"""A state of another version: an old one is taken over, a newer one left alone."""

import json
from pathlib import Path

import pytest

from sdtrace.history import manifest as manifests
from sdtrace.history import state as states
from tests.made.states import nightly, nights, tree


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.one_of(2)
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
