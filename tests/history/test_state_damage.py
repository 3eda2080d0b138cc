"""Damage of the state folder: none is silent, none loses a night.

SDTRACE_FLIPS=1000 flips as many bits of every file; the default is a sample.
"""

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sdtrace.history import manifest as manifests
from sdtrace.history import state as states
from sdtrace.history.recover import recovered
from sdtrace.history.state import opened
from tests.made.nights import day
from tests.made.states import nightly, nights, tree

FLIPS = int(os.environ.get("SDTRACE_FLIPS", "1"))


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


@pytest.mark.slow
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


@pytest.mark.one_of(2)
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


@pytest.mark.slow
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


@pytest.mark.slow
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
