"""Limits: what an input may ask for is bounded, and a limit that is met is said with the option that lifts it."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sdtrace import limits
from sdtrace.api import report
from sdtrace.cli import run
from sdtrace.errors import NoInputError
from sdtrace.limits import USUAL, Budget, LimitError, Limits, option, size, within
from sdtrace.readers.io import source as sources
from sdtrace.readers.io.lines import Lines
from sdtrace.readers.io.source import source
from sdtrace.readers.io.unpack import unpacked
from sdtrace.readers.trace import jsonl
from tests.made.damage import PACKED

MB = 1 << 20
SAMPLES = Path(__file__).resolve().parents[2] / "sample_logs"


def step(n: int, **more: Any) -> bytes:
    row = {
        "kind": "step",
        "request_id": "r",
        "step": n,
        "draft_token_ids": [1],
        "num_accepted": 1,
        "output_token_ids": [1, 2],
    }
    return json.dumps(row | more).encode() + b"\n"


def _only(path: Path) -> dict[str, Any]:
    (found,) = report(path).document["inputs"]
    lost = sum(x["count"] for x in found["losses"])
    assert found["lines"] == found["runs"] + found["requests"] + found["steps"] + found["records"] + lost
    assert not [x["what"] for x in found["losses"] if "reader error" in x["what"]]
    read: dict[str, Any] = found
    return read


#: By the name that unpacking has for each.
PACKERS = {name: pack for name, pack in PACKED.items() if " " not in name}


@pytest.mark.one_of(5)
@pytest.mark.parametrize("pack", PACKERS)
def test_a_bomb_is_read_up_to_its_ratio(pack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FREE", 1 << 17)
    data = b"".join(step(n) for n in range(50)) + (b" " * 255 + b"\n") * (MB >> 8)
    (tmp_path / "t.jsonl").write_bytes(PACKERS[pack](data))
    found = _only(tmp_path / "t.jsonl")
    assert found["steps"] == 50
    (loss,) = [x for x in found["losses"] if "times its size" in x["what"]]
    assert "--max-ratio 400" in loss["advice"]
    assert found["lines"] < 50 + (MB >> 8)
    with within(max_ratio=1e6):
        assert not [x for x in _only(tmp_path / "t.jsonl")["losses"] if "times its size" in x["what"]]


@pytest.mark.one_of(3)
@pytest.mark.parametrize("pack", PACKERS)
def test_unpacking_takes_no_more_memory_than_it_is_asked_for(pack: str, tmp_path: Path) -> None:
    data = PACKERS[pack](b"\0" * (8 * MB))
    (tmp_path / "t").write_bytes(data)
    with unpacked(tmp_path / "t", pack, USUAL) as stream:
        seen = 0
        while block := stream.read(MB):
            assert len(block) <= MB
            seen += len(block)
    assert seen == 8 * MB


@pytest.mark.slow
def test_size_and_line_of_a_packed_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "SEGMENT", MB)
    body = [step(0), step(1, graph="x" * (3 * MB)), step(2), b"y" * (5 * MB)]
    (tmp_path / "t.jsonl.gz").write_bytes(gzip.compress(b"".join(body)))
    with within(max_line=2 * MB):
        found = _only(tmp_path / "t.jsonl.gz")
    assert found["steps"] == 2
    assert [x["where"].rpartition(":")[2] for x in found["losses"] if "a line of more than 2M" in x["what"]] == [
        "2",
        "4",
    ]
    with within(max_unpacked=2 * MB):
        found = _only(tmp_path / "t.jsonl.gz")
    assert [x["advice"] for x in found["losses"] if "more than 2M" in x["what"]] == [
        "what came before was read; --max-unpacked 4M allows more"
    ]


@pytest.mark.one_of(6)
@pytest.mark.parametrize("end", [b"\n", b""])
@pytest.mark.parametrize("after", [0, 3, 400])
def test_a_line_that_is_too_long_is_lost_alone(after: int, end: bytes, tmp_path: Path) -> None:
    long = step(7, graph="x" * (MB + MB // 8)).rstrip(b"\n")
    rest = [step(8 + n) for n in range(after)]
    (tmp_path / "t.jsonl").write_bytes(step(0) + step(1) + long + (b"\n" + b"".join(rest).rstrip(b"\n") + end))
    with within(max_line=MB):
        found = _only(tmp_path / "t.jsonl")
    assert found["steps"] == 2 + after
    assert [x["where"].rpartition(":")[2] for x in found["losses"] if "a line of more than 1M" in x["what"]] == ["3"]
    assert _only(tmp_path / "t.jsonl")["steps"] == 3 + after


@pytest.mark.slow
def test_records_and_samples_too(tmp_path: Path) -> None:
    record = b'{"timings":{"predicted_n":9,"draft_n":8,"draft_n_accepted":5}}\n'
    (tmp_path / "a.jsonl").write_bytes(record + b'{"x":"' + b"y" * (2 * MB) + b'"}\n' + record)
    (tmp_path / "b.prom").write_bytes(b"vllm:spec_decode_num_drafts_total 9\n# " + b"y" * (2 * MB) + b"\nvllm:x 1\n")
    (tmp_path / "c.sse").write_bytes(b"data: " + record + b": " + b"y" * (2 * MB) + b"\n\n")
    (tmp_path / "d.json").write_bytes(b"[\n" + record.rstrip() + b",\n" * 1 + b'{"x":"' + b"y" * (2 * MB) + b'"}]\n')
    with within(max_line=MB):
        for name in ("a.jsonl", "b.prom", "c.sse"):
            found = _only(tmp_path / name)
            assert [x["where"].rpartition(":")[2] for x in found["losses"] if "a line of more" in x["what"]] == ["2"]
        with pytest.raises(NoInputError, match="of more than 1M") as told:
            report(tmp_path / "d.json")
    assert "--max-line 2M" in told.value.hint
    assert _only(tmp_path / "d.json")["windows"] == 1


def test_lines_come_in_bounded_pieces(tmp_path: Path) -> None:
    """Neither blank lines nor long ones make a stretch large, and none is lost."""
    (tmp_path / "t").write_bytes(b"a\n" * 5 + b"\n" * 500_000 + b"b\n" + b"c" * (3 * MB) + b"\n" + b"d\n" * 7)
    with (tmp_path / "t").open("rb") as stream:
        lines, seen = Lines(stream, 1, MB), 0
        while len((stretch := lines.take(1_000_000)).end):
            assert len(stretch.end) <= 1 << 17
            assert len(stretch.text) < 96 * MB
            assert stretch.first == seen + 1 + len([n for n in lines.passed if n <= seen + 1])
            seen += len(stretch.end)
    assert (seen, lines.passed) == (500_013, [500_007])


def test_frames_are_read_beside_their_lines_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sdtrace.readers.io.lines._MANY", 64)
    (tmp_path / "t.jsonl").write_bytes(b"".join(step(n) + b"\n" * (n % 3) for n in range(500)))
    steps = [b.steps for b in jsonl.batches(source(str(tmp_path / "t.jsonl")))]
    lines = [line for frame in steps for line in frame["line"].to_list()]
    assert [n for frame in steps for n in frame["step"].to_list()] == list(range(500))
    assert lines == [1 + n + sum(k % 3 for k in range(n)) for n in range(500)]


def test_lists_of_a_table_that_a_few_bytes_stand_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FREE", MB)
    values = pa.array(np.full(MB, 7))
    lists = pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)
    table = pa.table({"request_id": ["r"], "step": [0], "draft_token_ids": lists})
    pq.write_table(table, tmp_path / "t.parquet", compression="zstd")
    assert (tmp_path / "t.parquet").stat().st_size < 20_000
    (loss,) = _only(tmp_path / "t.parquet")["losses"]
    assert ("times its size" in loss["what"], "--max-ratio" in loss["advice"], loss["count"]) == (True, True, 1)
    with within(max_ratio=1e6):
        (loss,) = _only(tmp_path / "t.parquet")["losses"]
    assert "more than any drafter proposes" in loss["what"]


@pytest.mark.slow
def test_options_and_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.jsonl").write_bytes(step(0) + step(1, graph="x" * (2 * MB)))
    monkeypatch.chdir(tmp_path)
    assert run(["report", "t.jsonl", "--max-line", "1M"]) == 0
    assert "1M" in capsys.readouterr().out
    (tmp_path / "sdtrace.toml").write_text('[report]\nmax-line = "1M"\n')
    assert run(["report", "t.jsonl"]) == 0
    assert "a line of more than 1M" in capsys.readouterr().out
    assert run(["report", "t.jsonl", "--max-line", "never"]) == 2
    assert "--max" not in USUAL.__doc__ or limits.current() == USUAL


def test_sizes_in_words() -> None:
    assert [size(n) for n in (32 << 20, 256 << 30, 1536, 200.0, 1 << 40)] == ["32M", "256G", "1536", "200", "1024G"]
    assert option("max_line") == "--max-line"
    budget = Budget(Limits(max_unpacked=10), 1)
    budget.take(10)
    with pytest.raises(LimitError, match="more than 10"):
        budget.take(1)
