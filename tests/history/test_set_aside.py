"""Inputs of a night that cannot be read: set aside with the reason, and the night goes on."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from sdtrace.history.state import opened
from tests.made.night_runs import document, nightly, nights
from tests.made.nights import day

pytestmark = pytest.mark.usefixtures("fifth_night")


def broken(folder: Path, kind: str) -> Path:
    file = folder / f"bad-{kind}"
    if kind == "binary":
        file.write_bytes(bytes(range(256)) * 40)
    elif kind == "parquet":
        file.write_bytes(b"PAR1" + b"\xff" * 4000)
    elif kind == "gzip":
        file.write_bytes(b"\x1f\x8b\x08" + b"\0" * 50)
    elif kind == "nested":
        file.write_text("[" * 200_000)
    elif kind == "lines":
        file.write_text('{"kind":"step","run_id":3}\n' * 20)
    elif kind == "empty":
        file.touch()
    elif kind == "tables":
        file.mkdir()
        (file / "steps.parquet").write_bytes(b"PAR1 and no more")
    return file


@pytest.mark.one_of(2)
@pytest.mark.parametrize("kinds", [("binary", "parquet", "gzip", "nested"), ("lines", "empty", "tables", "missing")])
def test_bad_inputs_are_said_and_the_two_good_ones_count(
    tmp_path: Path, logs: list[list[Path]], kinds: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    bad = [broken(tmp_path, kind) for kind in kinds]
    assert nightly(tmp_path, logs[0][0], *bad, logs[0][1], "-o", tmp_path / "pages") == 0
    said = capsys.readouterr().err
    assert [path for path in bad if f"set aside: {path}: " not in said] == []
    assert "internal error" not in said
    with opened(tmp_path / "state") as state:
        record = state.record(day(0))
    assert set(record["services"]) == {"chat", "code"}
    assert len(record["inputs"]) == 2
    assert {one["path"] for one in record["aside"]} == {str(path) for path in bad}
    assert {one["path"] for one in document(tmp_path)["history"]["aside"]} == {str(path) for path in bad}
    page = (tmp_path / "pages" / f"{day(0)}.html").read_text()
    assert sum(str(path) in page for path in bad) == 3


@pytest.mark.slow
def test_one_bad_input_is_said(tmp_path: Path, logs: list[list[Path]], capsys: pytest.CaptureFixture[str]) -> None:
    bad = broken(tmp_path, "gzip")
    assert nightly(tmp_path, logs[0][0], bad) == 0
    assert f"set aside: {bad}: " in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["binary", "gzip", "lines", "missing"])
def test_a_bad_input_alone_is_an_error(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert nightly(tmp_path, broken(tmp_path, kind)) == 3
    assert "hint: " in capsys.readouterr().err
    assert nights(tmp_path) == []


@pytest.mark.slow
def test_whatever_breaks_in_one_input_is_that_inputs(
    tmp_path: Path, logs: list[list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it is not read but looked at."""
    from sdtrace.history import nightly as module

    real: Any = vars(module)["content"]
    errors = {
        str(shutil.copy(logs[0][0], tmp_path / f"bad-{error.__name__}.jsonl")): error
        for error in (RecursionError, MemoryError, ZeroDivisionError, KeyError)
    }

    def content(opened: Any, *rest: Any) -> Any:
        if opened.path in errors:
            raise errors[opened.path]("x")
        return real(opened, *rest)

    monkeypatch.setattr(module, "content", content)
    assert nightly(tmp_path, *errors, *logs[0]) == 0
    with opened(tmp_path / "state") as state:
        record = state.record(day(0))
    assert [Path(i["path"]).name for i in record["inputs"]] == [p.name for p in logs[0]]
    assert {one["path"] for one in record["aside"]} == set(errors)


@pytest.mark.slow
def test_a_bad_input_is_read_when_it_is_mended(tmp_path: Path, logs: list[list[Path]]) -> None:
    bad = tmp_path / "engine.jsonl"
    bad.write_bytes(b"\x1f\x8b\x08 broken off")
    assert nightly(tmp_path, bad, logs[0][1]) == 0
    shutil.copy(logs[0][0], bad)
    assert nightly(tmp_path, bad, logs[0][1]) == 0
    with opened(tmp_path / "state") as state:
        assert set(state.record(day(0))["services"]) == {"chat", "code"}
