"""One machine and a local Ray cluster say the same to the last bit, also when a worker is killed in the middle.

Outside the default run: needs the extra ray, and a minute or two. `pytest tests/ray -s` prints the throughput.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from sdtrace.api import report
from sdtrace.audit.cluster import Ray
from sdtrace.render.json import dumps
from tests.made.hosts import hosts
from tests.ray.parts import write_parts

PARTS, TESTED = 40, 1500


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    write_parts(folder, PARTS, TESTED)
    return folder


@pytest.fixture(scope="module")
def alone(parts: Path) -> bytes:
    return dumps(report(parts))


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[Ray]:
    yield Ray(workers=getattr(request, "param", 2))
    ray.shutdown()


def test_two_workers_say_the_same(parts: Path, alone: bytes, cluster: Ray) -> None:
    assert json.loads(alone)["verdict"]["state"] == "wrong"
    assert dumps(report(parts, machines=cluster.audit)) == alone


def test_a_killed_worker_counts_once(parts: Path, alone: bytes, cluster: Ray) -> None:
    killed: list[int] = []
    killer = threading.Thread(target=_kill_one, args=(killed,))
    killer.start()
    found = dumps(report(parts, machines=cluster.audit))
    killer.join()
    assert killed, "no worker was seen at work"
    assert found == alone


def test_requests_and_runs_in_other_files(parts: Path, tmp_path: Path, cluster: Ray) -> None:
    """Run and request lines in the first file, steps in the rest: workers are told what stands elsewhere."""
    lines = [x for p in sorted(parts.iterdir())[:4] for x in p.read_text().splitlines()]
    heads = [x for x in lines if '"kind":"step"' not in x]
    steps = [x for x in lines if '"kind":"step"' in x]
    (tmp_path / "0.jsonl").write_text("\n".join(heads) + "\n")
    for k in range(3):
        (tmp_path / f"{k + 1}.jsonl").write_text("\n".join(steps[k::3]) + "\n")
    assert dumps(report(tmp_path, machines=cluster.audit)) == dumps(report(tmp_path))


def test_requests_that_moved(tmp_path: Path, cluster: Ray) -> None:
    """A request that one host began and another finished counts once, whoever read its parts."""
    paths = hosts(tmp_path, [("a", "b"), ("b", "a")] * 6, lines=True)
    found = report(paths, machines=cluster.audit)
    assert found.document["about"]["requests"] == 12
    assert dumps(found) == dumps(report(paths))


def test_the_rate_of_two_workers_against_one(parts: Path) -> None:
    """Printed, not judged: it depends on whether two cores are free."""
    spent = {}
    for workers in (1, 2):
        machines = Ray(workers=workers)
        report(sorted(parts.iterdir())[:2], machines=machines.audit)  # workers are up and have imported
        began = time.monotonic()
        report(parts, machines=machines.audit)
        spent[workers] = time.monotonic() - began
        ray.shutdown()
    print(f"\n1 worker {spent[1]:.1f} s, 2 workers {spent[2]:.1f} s, ratio {spent[1] / spent[2]:.2f}")
    assert set(spent) == {1, 2}


def _kill_one(killed: list[int]) -> None:
    """SIGKILL a process of our own that is in the middle of an input."""
    for _ in range(2000):
        for pid in _descendants(os.getpid()):
            if b"ray::_one" in _read(pid, "cmdline"):
                time.sleep(0.05)
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                return
        time.sleep(0.01)


def _descendants(top: int) -> list[int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _read(int(entry.name), "stat").rpartition(b")")[2].split()
            parents[int(entry.name)] = int(fields[1]) if len(fields) > 1 else 0
    found, front = [], [top]
    while front:
        front = [pid for pid, parent in parents.items() if parent in front]
        found += front
    return found


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
