"""A real Prometheus scrapes a real exposition, and sdtrace asks it: outside the default run (it takes half a minute).

The exposition is what vLLM 0.32 and llama.cpp served while they worked (sample_logs/engines), replayed one scrape a second.
"""

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
SAMPLES = TOP / "sample_logs" / "engines"

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="no prometheus (Debian: apt-get install prometheus)"
)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Engine:
    """Serves scrape after scrape of a recorded series; the first one for a while, as an idle server does; the last one stays."""

    def __init__(self, scrapes: list[bytes]) -> None:
        self.left, self.served = [scrapes[0]] * 16 + scrapes, 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler) -> None:  # noqa: N805  # the name is http.server's; self is the engine
                body = self.left.pop(0) if len(self.left) > 1 else self.left[0]
                self.served += 1
                handler.send_response(200)
                handler.send_header("Content-Type", "text/plain; version=0.0.4")
                handler.end_headers()
                handler.wfile.write(body)

            def log_message(handler, *args: object) -> None:  # noqa: N805
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = self.server.server_address[1]


def split(path: Path) -> list[bytes]:
    """The scrapes of a series, each as it was served: without the time that the sample carries."""
    lines = [line.rsplit(b" ", 1)[0] + b"\n" for line in path.read_bytes().splitlines()]
    name = lines[0].rsplit(b" ", 1)[0]
    begins = [i for i, line in enumerate(lines) if line.rsplit(b" ", 1)[0] == name]
    return [b"".join(lines[a:b]) for a, b in zip(begins, [*begins[1:], len(lines)], strict=True)]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, Engine]]]:
    """A Prometheus that has scraped both engines to their last exposition; vLLM twice, by two jobs."""
    folder = tmp_path_factory.mktemp("prometheus")
    engines = {n: Engine(split(SAMPLES / f"{n}-metrics.prom")) for n in ("vllm", "llamacpp")}
    # two jobs take turns at the same target: each sees half of the scrapes, and both see the last one
    jobs = [("vllm", "vllm"), ("vllm-again", "vllm"), ("llamacpp", "llamacpp")]
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{engines[name].port}"]}]}
            for job, name in jobs
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    port = free_port()
    log = (folder / "log").open("wb")
    server = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=log,
        stderr=log,
    )
    try:
        deadline = time.monotonic() + 90
        while any(len(e.left) > 1 for e in engines.values()):
            assert server.poll() is None, (folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, {n: e.served for n, e in engines.items()}
            time.sleep(0.5)
        time.sleep(8)  # two points of the grid (7200 s over 2,000 points) behind the last scrape of each job
        yield f"127.0.0.1:{port}", engines
    finally:
        server.terminate()
        server.wait(20)
        for engine in engines.values():
            engine.server.shutdown()
            engine.server.server_close()
        log.close()


@needs_prometheus
def test_a_report_from_a_real_server(prometheus: tuple[str, dict[str, Engine]], tmp_path: Path) -> None:
    address, _ = prometheus
    with urllib.request.urlopen(f"http://{address}/-/ready") as answer:
        assert answer.status == 200
    out = tmp_path / "report.json"
    command = [
        sys.executable,
        "-m",
        "sdtrace",
        "report",
        f"prometheus://{address}",
        "--since",
        "2h",
        "--json",
        str(out),
        "-q",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found["inputs"][0]["format"] == "prometheus-server"
    assert found["inputs"][0]["losses"] == []
    expected = json.loads((SAMPLES / "llamacpp-metrics.prom.expected.json").read_text())
    a = found["acceptance"]  # of the engine that drafted more
    assert (a["steps"], a["drafted"], a["accepted"]) == tuple(expected[n] for n in ("steps", "drafted", "accepted"))


@needs_prometheus
def test_two_jobs_of_one_target_count_once(prometheus: tuple[str, dict[str, Engine]]) -> None:
    """Both jobs saw vLLM's counters rise to the same totals: the report has them once."""
    from sdtrace.counters.sources import sources
    from sdtrace.readers.metrics import prometheus_server

    address, _ = prometheus
    batch = next(iter(prometheus_server.batches(f"prometheus://{address}", time.time() - 7200)))
    assert batch.windows is not None
    found = {s.engine: s.counts for s in sources(batch.windows) if s.basis == "counter"}
    expected = json.loads((SAMPLES / "vllm-metrics.prom.expected.json").read_text())
    assert found["vllm"]["drafted"] == expected["drafted"]
    assert found["vllm"]["accepted"] == expected["accepted"]
    assert found["vllm"]["drafts"] == expected["steps"]


@needs_prometheus
def test_a_time_without_samples_is_told(prometheus: tuple[str, dict[str, Engine]]) -> None:
    address, _ = prometheus
    command = [
        sys.executable,
        "-m",
        "sdtrace",
        "report",
        f"prometheus://{address}",
        "--since",
        "2020-01-01",
        "--until",
        "2020-01-02",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "no series of an engine in this time" in done.stdout + done.stderr
