"""One flipped bit in a packed trace that convert wrote: a lawful engine is not accused, and the damage is said."""

import gzip
import random
from pathlib import Path

import orjson
import polars as pl
import pyarrow.parquet as pq
import pytest
import zstandard

from sdtrace.api import report
from sdtrace.errors import SdtraceError
from sdtrace.pipeline import read
from sdtrace.writers.convert import convert
from tests.made.pairs import one_of

TRACE = Path(__file__).resolve().parents[2] / "sample_logs" / "transformers-sampled.jsonl.gz"


@pytest.mark.slow
@pytest.mark.parametrize("suffix", one_of(2, ["zst", "gz"]))
def test_a_flipped_bit_proves_nothing(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"trace.jsonl.{suffix}"
    convert([str(TRACE)], path)
    sound, rng = path.read_bytes(), random.Random(20)
    told = 0
    for _ in range(4):
        place = rng.randrange(64, len(sound))
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 1 << rng.randrange(8)]) + sound[place + 1 :])
        try:
            found = report(path).document
        except SdtraceError:
            continue
        assert {c["certainty"] for c in found["causes"]} <= {"suspected"}
        assert found["verdict"]["state"] in ("cannot-tell", "healthy")
        told += any(n["kind"] == "damaged" for n in found["inputs"][0]["notices"])
    assert told >= 2


def _table(folder: Path, *, checked: bool) -> Path:
    """The trace as Parquet with and without checksums of pages, in row groups of 20 steps."""
    if not (folder / "made").exists():
        convert([str(TRACE)], folder / "made")
    for path in (folder / "made").iterdir():
        size = 20 if path.name == "steps.parquet" else None
        pq.write_table(pq.read_table(path), path, row_group_size=size, write_page_checksum=checked)
    return folder / "made"


@pytest.mark.slow
@pytest.mark.parametrize("checked", one_of(2, [False, True]))
def test_a_flipped_bit_in_a_table_proves_nothing(checked: bool, tmp_path: Path) -> None:
    folder = _table(tmp_path, checked=checked)
    path, rng = folder / "steps.parquet", random.Random(3)
    sound, told = path.read_bytes(), 0
    assert read(folder)[0].verified is checked
    for _ in range(8):
        place = rng.randrange(64, len(sound) * 4 // 5)  # behind that stands what describes the columns
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 1 << rng.randrange(8)]) + sound[place + 1 :])
        found = report(folder).document
        assert {c["certainty"] for c in found["causes"] if c["side"] == "wrong"} <= {"suspected"}
        told += any("unreadable Parquet" in loss["what"] for loss in found["inputs"][0]["losses"])
    assert told >= 4 or not checked  # the rest stands in headers of pages: bounds that nobody reads


def test_convert_writes_checksums_of_pages(tmp_path: Path) -> None:
    convert([str(TRACE)], tmp_path / "made")
    assert read(tmp_path / "made")[0].verified
    pl.read_parquet(tmp_path / "made" / "steps.parquet").write_parquet(tmp_path / "made" / "steps.parquet")
    assert not read(tmp_path / "made")[0].verified  # one table of the folder without them is enough


@pytest.mark.one_of(2)
@pytest.mark.parametrize(("packed", "certainty"), [(False, "suspected"), (True, "proved")])
def test_one_odd_record_among_many_is_proof_only_under_a_checksum(packed: bool, certainty: str, tmp_path: Path) -> None:
    """A flipped bit of a plain file is a valid record: p 0.9 becomes p 0.1, and a lawful acceptance a wrong one."""
    lines = gzip.decompress(TRACE.read_bytes()).splitlines()
    for number, line in enumerate(lines):
        step = orjson.loads(line)
        if step["kind"] == "step" and (step.get("num_accepted") or 0) > 1 and step["uniforms"][0] > 0.3:
            step["target_probs"][0], step["draft_probs"][0] = 0.01, 0.9
            lines[number] = orjson.dumps(step)
            break
    path = tmp_path / "trace.jsonl"
    data = b"\n".join(lines) + b"\n"
    path.write_bytes(gzip.compress(data) if packed else data)
    wrong = [c for c in report(path).document["causes"] if c["side"] == "wrong"]
    assert wrong
    assert wrong[0]["certainty"] == certainty
    assert ("without a checksum" in wrong[0]["headline"]) is not packed


def test_a_frame_without_a_checksum_is_told_from_one_with(tmp_path: Path) -> None:
    for write_checksum in (True, False):
        path = tmp_path / "trace.jsonl.zst"
        path.write_bytes(
            zstandard.ZstdCompressor(write_checksum=write_checksum).compress(gzip.decompress(TRACE.read_bytes()))
        )
        assert read(path)[0].verified is write_checksum
