"""A state of six nights as sdtrace 0.1.0 with polars 1.38 wrote it (format 1): read, amended, and taken over.

golden/state-format-1.tar.xz holds `state` (chat of each night; the first is closed) and `logs` (chat and code of the last).
"""

import json
import tarfile
from pathlib import Path

import polars as pl
import pytest

from sdtrace import report
from sdtrace.cli import run
from sdtrace.history import audit_store as saved
from sdtrace.history import clock
from sdtrace.pipeline import audited, read

ARCHIVE = Path(__file__).parents[1] / "golden" / "state-format-1.tar.xz"
LAST = "2026-09-06"


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(clock, "now", lambda: 1.795e9)  # 2026-11-18: its nights are of that September
    return tmp_path / "state"


@pytest.mark.slow
def test_late_data_of_an_old_night_is_added_or_said(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """This version counts more of a request than that one did, so that their sums do not add up: nothing is lost in silence."""
    late = f"logs/code-{LAST}.jsonl"
    code = run(["nightly", late, "--state", str(old), "-q", "--json", "amended.json"])
    said = capsys.readouterr().err
    if code == 0:
        assert f"amended: {LAST}" in said
        amended = json.loads(Path("amended.json").read_text())
        whole = report([f"logs/chat-{LAST}.jsonl", late]).document
        assert amended["audit"] == whole["audit"]
        assert amended["checks"] == whole["checks"]
    else:
        assert code == 1
        assert f"too late, another version wrote its night: {late}" in said
        assert "--night DATE" in said
    assert run(["nightly", late, "--state", str(old), "-q", "--night", "2026-09-07"]) == 0


@pytest.mark.slow
def test_hashes_of_another_polars_are_made_anew(tmp_path: Path) -> None:
    """As a version that hashed with polars saved it: every hash another number, the same for the same request."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    audit, _ = audited(read([str(tmp_path / "logs" / f"{s}-{LAST}.jsonl") for s in ("chat", "code")]))
    other = pl.col("hash") ^ 0x5DEECE66D
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        saved.save(audit, tmp_path / name)
    for file in ("sums-requests", "sums-places", "steps"):
        frame = pl.read_parquet(tmp_path / "b" / f"{file}.parquet").with_columns(hash=other)
        frame.write_parquet(tmp_path / "b" / f"{file}.parquet")
    drawn = pl.read_parquet(tmp_path / "b" / "uniforms.parquet").with_columns(request=pl.col("request") ^ 0x5DEECE66D)
    drawn.write_parquet(tmp_path / "b" / "uniforms.parquet")
    document = json.loads((tmp_path / "b" / "audit.json").read_text())
    del document["hashing"]
    (tmp_path / "b" / "audit.json").write_text(json.dumps(document))
    right, found = saved.load(tmp_path / "a").tally, saved.load(tmp_path / "b").tally
    for name, frame in right.sums.items():
        assert found.sums[name].equals(frame), name
    assert right.steps is not None
    assert right.uniforms is not None
    assert found.steps is not None
    assert found.uniforms is not None
    assert found.steps.equals(right.steps)
    assert found.uniforms.equals(right.uniforms)


def test_hashes_of_an_old_night_are_made_anew(old: Path) -> None:
    folder = next((old / "nights").glob(f"{LAST}.*")) / "audit"
    (folder.parent / "again").mkdir()
    audit = saved.load(folder)
    saved.save(audit, folder.parent / "again")
    again = saved.load(folder.parent / "again")
    for name in ("requests", "places"):
        assert again.tally.sums[name].equals(audit.tally.sums[name])
    assert audit.tally.uniforms is not None
    requests = set(audit.tally.uniforms["request"].to_list())
    assert requests <= set(audit.tally.sums["requests"]["hash"].to_list())


@pytest.mark.one_of(2)
@pytest.mark.parametrize("cut", ["ceiling", "hashing"])
def test_an_audit_that_was_cut_by_other_hashes_takes_no_more(old: Path, cut: str) -> None:
    folder = next((old / "nights").glob(f"{LAST}.*")) / "audit"
    assert not saved.sampled_otherwise(folder)
    document = json.loads((folder / "audit.json").read_text())
    document |= {"ceiling": 1 << 63} if cut == "ceiling" else {"hashing": 99}
    (folder / "audit.json").write_text(json.dumps(document))
    assert saved.sampled_otherwise(folder)
