"""Packed inputs: told by content, and read as far as they go when they break off, which is said."""

import bz2
import gzip
import json
import lzma
import random
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import polars as pl
import pytest
import zstandard

from sdtrace.api import report
from sdtrace.cli import run
from sdtrace.errors import NoInputError
from sdtrace.pipeline import read

source = import_module("sdtrace.readers.io.source")  # a function of the package has the same name
SAMPLES = Path(__file__).resolve().parents[2] / "sample_logs"


def frames(data: bytes) -> bytes:
    """A frame for every 64 kB, as tools write that flush."""
    return b"".join(zstandard.ZstdCompressor().compress(data[i : i + 65_536]) for i in range(0, len(data), 65_536))


PACKS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: zstandard.ZstdCompressor().compress(data),
    "zst frames": frames,
}


def lines(count: int) -> bytes:
    """Steps that do not pack well, so that two thirds of the bytes hold about two thirds of them."""
    rng = random.Random(1)
    made = ({"kind": "step", "request_id": "a", "step": i, "draft_token_ids": [rng.getrandbits(30) for _ in range(40)]}
            for i in range(count))  # fmt: skip
    return b"".join(json.dumps(one).encode() + b"\n" for one in made)


@pytest.mark.one_of(4)
@pytest.mark.parametrize("pack", PACKS)
def test_packing_is_told_by_content(pack: str, tmp_path: Path) -> None:
    path = tmp_path / "without-ending"
    path.write_bytes(PACKS[pack](lines(500)))
    (found,) = report(path).document["inputs"]
    assert (found["lines"], found["steps"], found["losses"], found["notices"]) == (500, 500, [], [])


@pytest.mark.slow
def test_many_segments_keep_their_line_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "SEGMENT", 1 << 18)
    path = tmp_path / "t.jsonl.gz"
    path.write_bytes(gzip.compress(lines(3000)))
    found = pl.concat(b.steps for o in read(path) for b in o.batches())
    assert found["line"].to_list() == list(range(1, 3001))
    assert found["step"].to_list() == list(range(3000))


@pytest.mark.one_of(4)
@pytest.mark.parametrize("pack", ["gz", "xz", "zst", "zst frames"])
def test_what_came_before_the_damage_is_read(pack: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = PACKS[pack](lines(1500))
    path = tmp_path / "cut"
    path.write_bytes(packed[: len(packed) * 2 // 3])
    (found,) = report(path).document["inputs"]
    assert 600 < found["steps"] <= 1000
    assert found["lines"] == found["steps"] + sum(loss["count"] for loss in found["losses"])
    assert [n["kind"] for n in found["notices"]] == ["damaged"]
    assert found["notices"][0]["what"].startswith("the compressed file is damaged: ")
    assert run(["report", str(path)]) == 0
    assert "the compressed file is damaged, what came before was" in " ".join(capsys.readouterr().out.split())


def test_damage_before_the_first_line_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "cut"
    packed = bz2.compress(lines(500))  # one block: nothing of it can be unpacked
    path.write_bytes(packed[: len(packed) * 2 // 3])
    with pytest.raises(NoInputError, match="damaged"):
        read(path)


@pytest.mark.one_of(4)
@pytest.mark.parametrize(
    "name", ["engines/vllm-metrics.prom", "engines/vllm.log", "engines/vllm-responses.jsonl", "paper-case.csv"]
)
def test_every_reader_tells_of_damage(name: str, tmp_path: Path) -> None:
    packed = gzip.compress((SAMPLES / name).read_bytes())
    path = tmp_path / Path(name).name
    path.write_bytes(packed[:-8])  # all of the text, but not the sum that proves it
    (found,) = report(path).document["inputs"]
    assert found["steps"] + found["windows"] + found["records"] > 0
    assert any("damaged" in notice["what"] for notice in found["notices"])


def test_what_is_no_text_is_not_called_text(tmp_path: Path) -> None:
    picture, table = tmp_path / "a.png", tmp_path / "a.parquet"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256)))
    table.write_bytes(b"PAR1" + bytes(5000))
    with pytest.raises(NoInputError, match="line 1: binary in which none"):
        report(picture)
    with pytest.raises(NoInputError, match="unrecognised file format: no readable Parquet"):
        report(table)


def test_what_is_to_be_done_about_a_file_depends_on_what_is_wrong_with_it(tmp_path: Path) -> None:
    empty, cut, strange = tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz", tmp_path / "c.txt"
    empty.write_bytes(b"")
    cut.write_bytes(gzip.compress(b"hello")[:10])
    strange.write_text("hello\n")
    for path, why, way in (
        (empty, "is empty", "get it again"),
        (cut, "damaged", "get it again"),
        (strange, "text", "--why"),
    ):
        with pytest.raises(NoInputError, match=why) as told:
            report(path)
        assert way in str(told.value.hint)
