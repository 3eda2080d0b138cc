"""Variables that cannot be meant are refused by name when the server starts, and a folder that cannot be written to is named."""

import errno
import logging
import os
from pathlib import Path

import pytest

from sdtrace.record.settings import Refused, checked, options, said
from sdtrace.record.writer import TraceWriter


@pytest.mark.one_of(4)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SAMPLE", "10%"), ("SAMPLE", "0"), ("SAMPLE", "10"), ("SAMPLE", "nan"), ("MAX_GB", "10GB"), ("MAX_GB", "-1"), ("MAX_GB", "inf"),
        ("MODE", "rw"), ("MODE", "9"), ("MODE", "66666"), ("ENCODING", "json"), ("TOP", "many"), ("TOP", "-2"),
    ],
)  # fmt: skip
def test_a_variable_that_cannot_be_meant_is_named(name: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        checked({"SDTRACE_RECORD": str(tmp_path), f"SDTRACE_RECORD_{name}": value})
    assert said(refused.value).startswith(f"SDTRACE_RECORD_{name}={value} is not ")
    assert said(ValueError("x")) == "ValueError: x"


def test_what_was_asked_for_arrives() -> None:
    plain = {"encoding": "jsonl", "sample": 1.0, "mode": 0o600, "max_bytes": None}
    assert options({}) == options({"SDTRACE_RECORD_SAMPLE": " "}) == plain
    given = {"ENCODING": "parquet", "SAMPLE": "0.1", "MODE": "640", "MAX_GB": "0.5"}
    told = options({f"SDTRACE_RECORD_{name}": value for name, value in given.items()})
    assert told == {"encoding": "parquet", "sample": 0.1, "mode": 0o640, "max_bytes": 500_000_000}


def test_a_folder_that_cannot_be_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert checked({"SDTRACE_RECORD": str(tmp_path / "new" / "trace")}) is None
    told = checked({"SDTRACE_RECORD": str(file / "trace")})
    assert told is not None
    assert f"{file} is no folder" in told
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    told = checked({"SDTRACE_RECORD": str(tmp_path)})
    assert told is not None
    assert f"{tmp_path} may not be written to" in told


def test_a_full_disk_is_named_with_its_folder_and_the_way_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int, block: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with caplog.at_level(logging.WARNING, "sdtrace.record"):
        writer = TraceWriter(tmp_path, {"run_id": "r"}, flush_records=1)
        monkeypatch.setattr(os, "write", full)
        writer.step("a", 0, num_accepted=1)
        writer.close()
    (line,) = caplog.messages
    assert "No space left on device" in line
    assert str(tmp_path) in line
    assert "records again" in line


def test_two_engines_write_into_one_folder(tmp_path: Path) -> None:
    """Whole lines of both, also where they are one process that began in the same second."""
    for run in ("one", "two"):
        with TraceWriter(tmp_path, {"run_id": run}) as writer:
            writer.step("a", 0, num_accepted=1)
    text = "".join(file.read_text() for file in tmp_path.iterdir())
    assert text.count('"kind":"step"') == 2
    assert {run for run in ("one", "two") if f'"run_id":"{run}"' in text} == {"one", "two"}
