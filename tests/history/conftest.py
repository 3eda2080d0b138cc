"""States that the tests of this room share: six nights, and one that an older version wrote."""

import shutil
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sdtrace.history import clock
from tests.made.nights import Plan, day, write_night
from tests.made.states import nightly

OLD = Path(__file__).parents[1] / "golden" / "state-format-1.tar.xz"


@pytest.fixture
def fifth_night(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that stands in the fifth night."""
    monkeypatch.setattr(clock, "now", lambda: datetime.fromisoformat(day(5)).replace(tzinfo=UTC).timestamp() + 3600)


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[list[Path]]:
    folder = tmp_path_factory.mktemp("logs")
    return [write_night(folder, i, Plan(tested=20)) for i in range(8)]


@pytest.fixture(scope="session")
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


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(clock, "now", lambda: 1.795e9)  # 2026-11-18: its nights are of that September
    with tarfile.open(OLD) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "state"
