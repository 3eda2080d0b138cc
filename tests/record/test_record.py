"""The writer: what was recorded is read back, a killed process leaves a readable trace, trouble drops and counts."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdtrace.pipeline import read
from sdtrace.record import TraceWriter
from sdtrace.schema.sampling import ticket

RUN = {"run_id": "a", "engine": "test", "rule": "ratio", "prob_dtype": "float32", "config": {"gpu": "none"}}


def step(n: int) -> dict[str, Any]:
    p = np.array([0.5, 0.1], np.float32) / np.float32(1 + n % 7)
    return {
        "draft_token_ids": np.array([n, n + 1]),
        "draft_probs": [0.6, 0.7],
        "target_probs": p,
        "uniforms": np.array([0.1, 0.99]),
        "num_accepted": 1,
        "output_token_ids": [n, 3],
    }


def rows(folder: Path, table: str = "steps") -> list[dict[str, Any]]:
    found, losses = [], []
    for source in read(folder):
        for batch in source.batches():
            found += list(getattr(batch, table).iter_rows(named=True))
            losses += batch.losses
    assert [loss for loss in losses if loss.count > 1] == []
    return found


@pytest.mark.one_of(2)
@pytest.mark.parametrize("encoding", ["jsonl", "parquet"])
def test_what_is_written_is_read(tmp_path: Path, encoding: str) -> None:
    with TraceWriter(tmp_path, RUN, encoding=encoding, flush_records=40) as writer:
        writer.request("r", prompt_len=4, temperature=0.7, tags={"task": "code"}, prompt_token_ids=[1, 2, 3, 4])
        for n in range(100):
            writer.step("r", n, **step(n))
    read_back = sorted(rows(tmp_path), key=lambda row: row["step"])
    assert [row["step"] for row in read_back] == list(range(100))
    for n, row in enumerate(read_back):
        assert np.float32(row["target_probs"]).tolist() == step(n)["target_probs"].tolist()
        assert row["uniforms"] == [0.1, 0.99]
        assert row["run_id"] == "a"
    assert rows(tmp_path, "requests")[0]["prompt_token_ids"] == [1, 2, 3, 4]
    told = json.loads(rows(tmp_path, "runs")[-1]["config"])
    assert told["recorder"]["dropped"] == {}
    assert told["gpu"] == "none"


@pytest.mark.slow
@given(st.lists(st.floats(width=32), min_size=1, max_size=8))
def test_every_float32_survives_the_line(values: list[float]) -> None:
    from sdtrace.record.files import _line

    array = np.array(values, np.float32)
    line = _line("step", {"request_id": "r", "step": 0, "draft_token_ids": [1], "target_probs": array[::-1]})
    found = np.array(json.loads(line)["target_probs"], np.float32)
    assert np.array_equal(found, array[::-1], equal_nan=True)


_CHILD = """
import sys, time
from sdtrace.record import TraceWriter
writer = TraceWriter(sys.argv[1], {"run_id": "a", "engine": "test", "rule": "ratio"}, encoding=sys.argv[2],
                     flush_records=50, flush_seconds=0.05)
n = 0
while True:
    writer.step("r", n, draft_token_ids=[n], target_probs=[0.5], num_accepted=1, output_token_ids=[n, 3])
    n += 1
    print(n, writer.written, flush=True)
    time.sleep(0.0002)
"""


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["jsonl", "parquet"])
def test_kill_9_loses_the_last_buffer_only(tmp_path: Path, encoding: str) -> None:
    out = tmp_path / "trace"
    command = [sys.executable, "-c", _CHILD, str(out), encoding]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        begun, written = map(int, line.split())
        if written > 300:
            break
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    steps = sorted(row["step"] for row in rows(out))
    assert steps == list(range(len(steps))), "no hole"
    assert len(steps) >= written
    assert begun >= len(steps) - 200


def test_a_slow_disk_never_blocks_the_engine(tmp_path: Path) -> None:
    writer = TraceWriter(tmp_path, RUN, queue_records=100, flush_records=1)
    held = threading.Event()
    original = writer._files.write

    def slow(rows: Any) -> int:
        held.wait(20)
        return original(rows)

    writer._files.write = slow
    for n in range(5000):
        writer.step("r", n, **step(n))
    held.set()
    writer.close()
    dropped = sum(writer.dropped.values())
    assert dropped > 4000
    assert len(rows(tmp_path)) + dropped == 5000
    assert sum(json.loads(rows(tmp_path, "runs")[-1]["config"])["recorder"]["dropped"].values()) == dropped


def test_trouble_is_counted_and_never_thrown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    writer = TraceWriter(tmp_path / "file", RUN, flush_seconds=0.01)
    for n in range(20):
        writer.step("r", n, **step(n))
    writer.step("r", 21, no_such_column=1)
    writer.close()
    writer.step("r", 22, **step(22))
    assert writer.written == 0
    assert sum(writer.dropped.values()) == 22
    assert sum("drops" in line.message for line in caplog.records) == len(writer.dropped)


def test_rotation_and_the_size_cap(tmp_path: Path) -> None:
    with TraceWriter(tmp_path, RUN, flush_records=10, rotate_bytes=4000, max_bytes=20_000) as writer:
        for n in range(2000):
            writer.step("r", n, **step(n))
    files = sorted(tmp_path.iterdir())
    assert len(files) > 3
    assert all(b'"kind":"run"' in file.read_bytes().split(b"\n")[0] for file in files), "each stands alone"
    assert sum(file.stat().st_size for file in files) < 24_000
    assert writer.written + sum(writer.dropped.values()) == 2000


@pytest.mark.slow
def test_a_sample_is_whole_requests_and_the_same_everywhere(tmp_path: Path) -> None:
    with TraceWriter(tmp_path, RUN, sample=0.3) as writer:
        for request in range(200):
            for n in range(2):
                writer.step(f"r{request}", n, **step(n))
    kept = [row["request_id"] for row in rows(tmp_path)]
    assert sorted(kept) == sorted(2 * [f"r{i}" for i in range(200) if ticket(f"r{i}") < 0.3])
    assert 30 < len(kept) / 2 < 90
    assert ticket("chat-1") == 0.6479899622314066


@pytest.mark.slow
def test_a_writer_per_process_in_one_folder(tmp_path: Path) -> None:
    code = (
        "import sys; from sdtrace.record import TraceWriter\n"
        "with TraceWriter(sys.argv[1], {'run_id': sys.argv[2]}) as w:\n"
        "    w.step('r', 0, draft_token_ids=[1], num_accepted=0, output_token_ids=[2])\n"
    )
    children = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), run]) for run in ("a", "b")]
    assert [child.wait() for child in children] == [0, 0]
    assert sorted(row["run_id"] for row in rows(tmp_path)) == ["a", "b"]


BAD: list[Any] = [
    "\ud800",
    b"bytes",
    ("a", "tuple"),
    {"no": "order"},
    object(),
]


@pytest.mark.one_of(4)
@pytest.mark.parametrize("encoding", ["jsonl", "parquet"])
@pytest.mark.parametrize("sample", [1.0, 0.9999999])
def test_a_bad_record_is_dropped_alone(tmp_path: Path, encoding: str, sample: float) -> None:
    """An id or a value that no trace can hold costs its own record: whatever stands beside it in the buffer is written."""
    with TraceWriter(tmp_path, RUN, encoding=encoding, sample=sample, flush_records=1000) as writer:
        for n in range(40):
            writer.step(f"r-{n}", n, **step(n))
            if n % 8 == 0:
                writer.step(BAD[n // 8], n, **step(n))
                writer.step("bad", n, **step(n) | {"num_accepted": object()})
                writer.step("bad", n, **step(n) | {"draft_token_ids": [[object()]]})
    written = [row["request_id"] for row in rows(tmp_path)]
    good = [name for name in written if name.startswith("r-")]
    assert sorted(good) == sorted(f"r-{n}" for n in range(40))
    told = json.loads(rows(tmp_path, "runs")[-1]["config"])["recorder"]
    assert told["written"] == len(written)
    assert sum(told["dropped"].values()) == 40 + 5 + 10 - len(written) >= 11


@pytest.mark.parametrize("encoding", ["jsonl", "parquet"])
@pytest.mark.parametrize(("mode", "files", "folders"), [(None, 0o600, 0o700), (0o640, 0o640, 0o750)])
def test_what_is_recorded_is_its_owners(
    tmp_path: Path, encoding: str, mode: int | None, files: int, folders: int
) -> None:
    given = {} if mode is None else {"mode": mode}
    before = os.umask(0o022)
    with TraceWriter(tmp_path / "trace", RUN, encoding=encoding, **given) as writer:
        writer.step("r", 0, **step(0))
    os.umask(before)
    there = [tmp_path / "trace", *(tmp_path / "trace").rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in there if path.is_file()} == {files}
    assert {path.stat().st_mode & 0o777 for path in there if path.is_dir()} == {folders}


def test_closing_is_bounded(tmp_path: Path) -> None:
    writer = TraceWriter(tmp_path, RUN)
    held = threading.Event()
    writer._files.write = lambda rows: int(held.wait(30))
    writer.step("r", 0, **step(0))
    writer.close(timeout=0.2)
    assert writer._thread.is_alive(), "it did not wait for the disk"
    held.set()
