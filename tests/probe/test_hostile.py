"""A probe of what is no engine, or one no more: clear words of what happened and what to do, and never a wait for what nobody needs."""

import json
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from sdtrace.cli import run
from sdtrace.replay.engine.client import Client
from tests.made.fake_engine import Engine, completion
from tests.made.served import Quiet, served


def handler(page: bytes, status: int) -> type[BaseHTTPRequestHandler]:
    """The same answer to whatever is asked."""

    class Same(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply(page, status)

    return Same


@pytest.mark.one_of(3)
@pytest.mark.parametrize(
    ("page", "status", "path", "code", "words"),
    [
        (b"no", 401, "", 3, ("status 401", "SDTRACE_API_KEY")),
        (b"<!DOCTYPE html><title>Sign in</title>", 200, "", 2, ("a web page answers", "address of the engine's API")),
        (b"{}", 404, "/api/llm", 2, ("neither vLLM, SGLang nor llama.cpp", "without /api/llm")),
        (b"not found", 404, "", 2, ("neither vLLM", "the engine's own address")),
        (b"[[[", 200, "", 2, ("neither vLLM",)),
    ],
    ids=["key", "page", "path", "404", "rubbish"],
)
def test_what_is_no_engine_is_told_apart(
    page: bytes, status: int, path: str, code: int, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with served(handler(page, status)) as url:
        assert run(["probe", url + path]) == code
    said = capsys.readouterr().err
    assert all(word in said for word in words), said


def test_no_server_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        assert run(["probe", f"http://127.0.0.1:{port}"]) == 3
    said = capsys.readouterr().err
    assert "no answer (connection refused, or no such host)" in said
    assert "check host and port" in said


def test_a_server_that_keeps_silent_is_asked_once(capsys: pytest.CaptureFixture[str]) -> None:
    asked, over = list[str](), threading.Event()

    class Silent(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            over.wait(30)

    with served(Silent) as url:
        assert run(["probe", url, "--http-timeout", "0.3"]) == 3
        over.set()
    assert asked == ["/v1/models"]
    assert "no whole answer in 0.3 s" in capsys.readouterr().err


@pytest.mark.slow
def test_a_server_that_dies_in_the_middle_is_said_to_have(tmp_path: Path) -> None:
    """What it answered is judged; what it did not is counted."""
    engine, lock, answered = Engine(), threading.Lock(), list[int]()

    class Dying(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known: dict[str, Any] = {"/version": {"version": "0.32.0"}, "/v1/models": {"data": [{"id": "fake"}]}}
            self.reply(json.dumps(known.get(self.path, {})).encode(), 200 if self.path in known else 404)

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                answered.append(1)
                dead = len(answered) > 4
            if dead:
                self.connection.close()
                return
            self.reply(json.dumps(completion(engine, asked)).encode())

    file = tmp_path / "probe.json"
    with served(Dying) as url:
        code = run(["probe", url, "--requests", "9", "--tokens", "12", "--json", str(file), "-q"])
    found = json.loads(file.read_text())
    assert code in (0, 4)
    assert found["causes"] == []
    assert found["probe"]["requests"] == 4
    assert "5 of 9 requests left out: no answer" in found["verdict"]["headline"]


@pytest.mark.slow
def test_who_stops_early_waits_for_nothing() -> None:
    """As Ctrl-C does: the requests that are under way are ended, the others are never sent."""
    asked, over, turn = list[str](), threading.Event(), count()

    class Slow(Quiet, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            if next(turn):  # three ask at once: one alone is answered
                over.wait(30)
            with suppress(ConnectionError):  # nobody waits for it any more
                self.reply(b"{}")

    with served(Slow) as url:
        client = Client(url, concurrency=3)
        answers = client.together(lambda n: client.ask("/x", {"n": n}), range(50))
        assert next(answers) == {}
        answers.close()
        over.set()
    assert len(asked) <= 4


@pytest.mark.slow
def test_ctrl_c_ends_a_probe_that_waits() -> None:
    """A signal must be seen in a process that has polars loaded, whose own handler restarts waits without an end."""
    begun, over = threading.Event(), threading.Event()

    class Slow(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known: dict[str, Any] = {"/version": {"version": "0.32.0"}, "/v1/models": {"data": [{"id": "fake"}]}}
            self.reply(json.dumps(known.get(self.path, {})).encode(), 200 if self.path in known else 404)

        def do_POST(self) -> None:
            begun.set()
            over.wait(120)

    with served(Slow) as url:
        command = [sys.executable, "-m", "sdtrace", "probe", url]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert begun.wait(120)
            process.send_signal(signal.SIGINT)
            try:
                _, said = process.communicate(timeout=60)
            finally:
                process.kill()
                over.set()
    assert process.returncode == 130
    assert said.strip() == "interrupted"


@pytest.mark.slow
@pytest.mark.parametrize(("most", "code"), [(5, 0), (1, 0), (0, 3)])
def test_a_server_that_lists_fewer_tokens_is_asked_for_fewer(
    most: int, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """vLLM refuses what is more than its --max-logprobs, with status 400; it is judged by what it lists, its scores too."""
    engine, file = Engine(), tmp_path / "probe.json"

    class Few(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known: dict[str, Any] = {"/version": {"version": "0.32.0"}, "/v1/models": {"data": [{"id": "fake"}]}}
            self.reply(json.dumps(known.get(self.path, {})).encode(), 200 if self.path in known else 404)

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if max(asked.get("logprobs") or 0, asked.get("prompt_logprobs") or 0) > most:
                self.reply(b'{"error": {"message": "greater than max allowed"}}', 400)
            else:
                self.reply(json.dumps(completion(engine, asked)).encode())

    with served(Few) as url:
        assert run(["probe", url, "--requests", "9", "--tokens", "16", "--json", str(file)]) == code
    if code:
        assert "fewer best tokens than 20" in capsys.readouterr().err
        return
    found = json.loads(file.read_text())
    assert (found["verdict"]["state"], found["causes"]) == ("healthy" if most == 5 else "cannot-tell", [])
    assert found["replay"]["log_p"]["compared"] > 0
    assert "replay --verifier" not in capsys.readouterr().out
