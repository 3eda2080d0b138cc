"""A state of six nights as sdtrace 0.1.0 with polars 1.38 wrote it (format 1): read, amended, and taken over.

golden/state-format-1.tar.xz holds `state` (chat of each night; the first is closed) and `logs` (chat and code of the last).
"""

import json
import tarfile
from pathlib import Path

import pytest

from sdtrace import report
from sdtrace.cli import run
from sdtrace.history import audit_store as saved

ARCHIVE = Path(__file__).parent / "golden" / "state-format-1.tar.xz"
LAST = "2026-09-06"


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "state"


def test_late_data_of_an_old_night_loses_no_request(old: Path) -> None:
    """Its hashes were those of polars 1.38, which no later polars makes."""
    assert run(["nightly", f"logs/code-{LAST}.jsonl", "--state", str(old), "-q", "--json", "amended.json"]) == 0
    amended = json.loads(Path("amended.json").read_text())
    whole = report([f"logs/chat-{LAST}.jsonl", f"logs/code-{LAST}.jsonl"]).document
    assert amended["audit"] == whole["audit"]
    assert amended["checks"] == whole["checks"]


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


@pytest.mark.parametrize("cut", ["ceiling", "hashing"])
def test_an_audit_that_was_cut_by_other_hashes_takes_no_more(old: Path, cut: str) -> None:
    folder = next((old / "nights").glob(f"{LAST}.*")) / "audit"
    assert not saved.sampled_otherwise(folder)
    document = json.loads((folder / "audit.json").read_text())
    document |= {"ceiling": 1 << 63} if cut == "ceiling" else {"hashing": 99}
    (folder / "audit.json").write_text(json.dumps(document))
    assert saved.sampled_otherwise(folder)
