"""What Ray exports of vLLM's counters: names, labels and values as a real cluster writes them, through the reader of metrics.

vLLM behind Ray Serve counts through `ray.util.metrics` (vllm/v1/metrics/ray_wrappers.py): colons become underscores, Ray puts `ray_` in
front and adds labels of its own. Outside the default run; needs `ray[default]`, whose agent exports.
"""

import re
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from sdtrace.api import report

LABELS = {"engine": "0", "model_name": "m"}
#: Steps, drafted and accepted tokens, and accepted ones by position, of the first and of the second scrape.
FIRST = (100.0, 400.0, 220.0, (80.0, 60.0, 50.0, 30.0))
SECOND = (1100.0, 4400.0, 2420.0, (880.0, 660.0, 550.0, 330.0))


class Engine:
    """vLLM's counters of speculation in a worker of Ray."""

    def __init__(self) -> None:
        from ray.util.metrics import Counter

        def made(name: str, *more: str) -> Any:
            return Counter(re.sub(r"[^a-zA-Z0-9_]", "_", name), tag_keys=(*LABELS, *more, "ReplicaId"))

        names = ("drafts", "draft_tokens", "accepted_tokens")
        self.counters = [made(f"vllm:spec_decode_num_{name}") for name in names]
        self.by_position = made("vllm:spec_decode_num_accepted_tokens_per_pos", "position")
        self.last: tuple[float, ...] = (0.0,) * 7

    def reach(self, steps: float, drafted: float, accepted: float, by_position: tuple[float, ...]) -> None:
        now, tags = (steps, drafted, accepted, *by_position), LABELS | {"ReplicaId": "r1"}
        for i, (value, before) in enumerate(zip(now, self.last, strict=True)):
            if i < 3:
                self.counters[i].inc(value - before, tags=tags)
            else:
                self.by_position.inc(value - before, tags=tags | {"position": str(i - 3)})
        self.last = now


@pytest.fixture
def address() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    often = {"metrics_report_interval_ms": 500}
    ray.init(
        num_cpus=1, include_dashboard=False, _metrics_export_port=port, _system_config=often, logging_level="error"
    )
    yield f"http://127.0.0.1:{port}/metrics"
    ray.shutdown()


def scraped(address: str, steps: float) -> str:
    """The page once it shows that many steps. Raises TimeoutError."""
    for _ in range(240):
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                page = str(answer.read().decode())
        except OSError:
            page = ""
        shown = re.findall(r"^ray_vllm_spec_decode_num_drafts\S*\{.*\} (\S+)", page, re.MULTILINE)
        if [float(value) for value in shown] == [steps]:
            return page
        time.sleep(0.5)
    raise TimeoutError(page[:2000])


def test_two_scrapes_are_a_window(address: str, tmp_path: Path) -> None:
    placed: Any = ray.remote(num_cpus=0)(Engine)
    engine = placed.remote()
    pages = []
    for counts in (FIRST, SECOND):
        ray.get(engine.reach.remote(*counts))
        pages.append(scraped(address, counts[0]))
    (tmp_path / "scrapes.prom").write_text("".join(pages))
    document = report(tmp_path).document
    found = document["acceptance"]
    assert {read["format"] for read in document["inputs"]} == {"prometheus"}
    assert (found["steps"], found["drafted"], found["accepted"]) == (1000, 4000, 2200)
    assert found["tokens_per_step"] == pytest.approx(3.2)
