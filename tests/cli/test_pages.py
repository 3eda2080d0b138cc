"""The folder of pages: nothing is written outside it, nothing but pages is removed, an input that is named so is kept."""

import json
from pathlib import Path

import pytest

from sdtrace.cli import run
from tests.made.simulate import Scenario, Shape, simulate


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(Scenario(fault=None, shape=Shape(tested=60))).write(tmp_path_factory.mktemp("logs") / "t.jsonl")


def nightly(log: Path, folder: Path, *flags: str) -> int:
    return run(["nightly", str(log), "--state", str(folder / "state"), "-o", str(folder / "pages"), "-q", *flags])


def test_pages_stay_in_their_folder(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pages, mine = tmp_path / "pages", tmp_path / "mine.html"
    pages.mkdir()
    mine.write_text("kept")
    (pages / "index.html").symlink_to(mine)
    assert nightly(log, tmp_path, "--night", "2026-11-20") == 2
    assert "leads out of" in capsys.readouterr().err
    assert mine.read_text() == "kept"


@pytest.mark.slow
def test_only_pages_are_removed(log: Path, tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    for file in (tmp_path / "x.json", pages / "2020-01-01.json"):
        file.write_text("the user's")
    (pages / "2020-01-02.html").write_text("<title>Healthy - sdtrace report</title>")
    told = {"../x": "a", "2020-01-01": "a", "2020-01-02": "a"}
    (pages / ".pages.json").write_text(json.dumps(told))
    assert nightly(log, tmp_path, "--night", "2026-11-20") == 0
    assert (tmp_path / "x.json").exists()
    assert (pages / "2020-01-01.json").exists()
    assert not (pages / "2020-01-02.html").exists()


@pytest.mark.slow
def test_an_input_with_the_name_of_a_page_is_kept(log: Path, tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    dated = pages / "2026-11-20.json"
    dated.write_bytes(log.read_bytes())
    assert nightly(dated, tmp_path, "--night", "2026-11-20") == 2
    assert dated.read_bytes() == log.read_bytes()


@pytest.mark.slow
def test_a_file_that_is_called_latest_is_written_to(log: Path, tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "latest.html").write_text("before")
    assert nightly(log, tmp_path, "--night", "2026-11-20") == 0
    assert not (pages / "latest.html").is_symlink()
    assert (pages / "latest.html").read_bytes() == (pages / "2026-11-20.html").read_bytes()
