"""Servers that mean no good: every one ends within its time and size, with a reason, and without the secrets of its address."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from sdtrace.api import report
from sdtrace.cli import run
from sdtrace.errors import NoInputError, UsageError
from sdtrace.limits import Limits, within
from sdtrace.readers.io.http import Server, Unanswered

OK = b"HTTP/1.1 200 OK\r\n"
Answer = Callable[[socket.socket, int], None]


def _whole(head: bytes, body: bytes = b"") -> Answer:
    return lambda peer, port: peer.sendall(head.replace(b"PORT", str(port).encode()) + b"\r\n" + body)


def _for_ever(head: bytes, piece: bytes, pause: float) -> Answer:
    def answer(peer: socket.socket, _: int) -> None:
        peer.sendall(head)
        while True:
            peer.sendall(piece)
            time.sleep(pause)

    return answer


BOMB = gzip.compress(b"x" * (4 << 20))
HOSTILE: dict[str, tuple[Answer, str]] = {
    "endless": (_for_ever(OK + b"\r\n", b"x" * 65536, 0), "more than 1M"),
    "endless chunks": (
        _for_ever(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n%s\r\n" % (b"x" * 4096), 0),
        "than 1M",
    ),
    "dripping body": (_for_ever(OK + b"Content-Length: 1000000\r\n\r\n", b"x", 0.05), "no whole answer in 0.6 s"),
    "dripping head": (_for_ever(OK, b"a: b\r\n", 0.05), "no whole answer in 0.6 s"),
    "dripping status": (_for_ever(b"HTTP/1.1 200 ", b"O", 0.05), "no whole answer in 0.6 s"),
    "silent": (_for_ever(b"", b"", 0.05), "no whole answer in 0.6 s"),
    "endless head": (_for_ever(OK, b"a: b\r\n", 0), "no "),
    "bomb": (_whole(OK + b"Content-Encoding: gzip\r\nConnection: close\r\n", BOMB), "more than 1M"),
    "bomb in a bomb": (_whole(OK + b"Content-Encoding: gzip, gzip\r\n", gzip.compress(BOMB)), "packed"),
    "other packing": (_whole(OK + b"Content-Encoding: br\r\n", b"x"), "packed"),
    "damaged packing": (_whole(OK + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n", b"not gzip."), "no answer"),
    "no HTTP": (_whole(b"\0\1\2 hello\r\n"), "no answer"),
    "broken chunks": (_whole(OK + b"Transfer-Encoding: chunked\r\n", b"zz\r\nx"), "no answer"),
    "cut": (_whole(OK + b"Content-Length: 1000\r\n", b"x"), "no answer"),
    "two lengths": (_whole(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n", b"xx"), "no answer"),
    "loop": (_whole(b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n"), "redirects without an end"),
    "elsewhere": (
        _whole(b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n"),
        "another server",
    ),
    "other port": (
        _whole(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n"),
        "another server",
    ),
    "file": (_whole(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n"), "another server"),
    "closed at once": (lambda peer, port: peer.close(), "no answer"),
    "reset": (
        lambda peer, port: peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"),
        "no answer",
    ),
    "never": (lambda peer, port: time.sleep(3), "no whole answer in"),
    "huge header": (_whole(OK + b"a: " + b"x" * (1 << 20) + b"\r\n", b"x"), "no answer"),
    "many headers": (_whole(OK + b"".join(b"a%d: b\r\n" % i for i in range(20_000)), b"x"), "no answer"),
    "malformed head": (_whole(OK + b"no colon here\r\n\x00: \xff\r\n", b"x"), "no answer"),
    "bad status": (_whole(b"HTTP/1.1 9999999999999 Fine\r\n"), "no answer"),
    "negative length": (_whole(OK + b"Content-Length: -5\r\n", b"x"), "no answer"),
    "broken address": (_whole(b"HTTP/1.1 302 Found\r\nLocation: http://[::1/\r\nContent-Length: 0\r\n"), "no answer"),
    "server error": (_whole(b"HTTP/1.1 500 Oh\r\nContent-Length: 3\r\n", b"why"), "status 500"),
    "only early hints": (_for_ever(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", 0), "no "),
    "missing": (_whole(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n"), "status 404"),
}


@contextmanager
def _server(answer: Answer) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def serve() -> None:
            with suppress(OSError):
                while True:
                    peer, _ = listening.accept()
                    threading.Thread(target=one, args=(peer,), daemon=True).start()

        def one(peer: socket.socket) -> None:
            with suppress(OSError), peer:
                peer.recv(65536)
                answer(peer, port)

        threading.Thread(target=serve, daemon=True).start()
        yield port
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.one_of(18)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_server_is_a_reason_in_time(name: str) -> None:
    answer, why = HOSTILE[name]
    with _server(answer) as port, pytest.raises(Unanswered, match=why) as told:
        Server(Limits(http_timeout=0.6, http_max=1 << 20)).get(
            f"http://user:secret@127.0.0.1:{port}/metrics?token=secret"
        )
    assert told.value.hint
    assert "secret" not in f"{told.value} {told.value.hint}"


#: Answers that are whole, and not what was asked for.
STRANGE: dict[str, Answer] = {
    "no text": _whole(OK + b"Content-Length: 1024\r\n", bytes(range(128, 256)) * 8),
    "empty": _whole(OK + b"Content-Length: 0\r\n"),
    "nested": _whole(OK + b"Content-Length: 200000\r\n", b"[" * 200_000),
    "one long line": _whole(OK + b"Content-Length: 900000\r\n", b"a{" * 450_000),
    "huge numbers": _whole(
        OK + b"Content-Length: 4043\r\n", b'vllm:spec_decode_num_drafts_total{a="b"} 1e' + b"9" * 4000
    ),
}


#: A third of the hostile answers here (each is a reason above), the others are slow ones.
RUNS = [pytest.param(name, marks=pytest.mark.slow if i % 8 else ()) for i, name in enumerate(HOSTILE)]


@pytest.mark.one_of(16)
@pytest.mark.parametrize("name", [*RUNS, *STRANGE])
def test_the_rest_of_the_run_goes_on(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.prom").write_text("vllm:spec_decode_num_drafts_total 9\n")
    answer = STRANGE[name] if name in STRANGE else HOSTILE[name][0]
    with _server(answer) as port, within(http_timeout=0.3, http_max=1 << 20):
        url = f"prometheus://127.0.0.1:{port}"
        found = report([str(tmp_path / "a.prom"), url]).document
        assert [bool(i["records"]) for i in found["inputs"]] == [True, False]
        assert found["inputs"][1]["losses"][-1]["advice"]
        with pytest.raises(NoInputError):
            report(url)
        code = run(["watch", f"http://u:secret@127.0.0.1:{port}/?token=secret", "--for", "0.2s", "--every", "0.1s"])
    assert code == 3
    said = capsys.readouterr()
    assert "secret" not in said.out + said.err


@pytest.mark.one_of(3)
@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {"status": "success"},
        {"status": "success", "data": []},
        {"status": "success", "data": {"result": {}}},
        {"status": "success", "data": {"result": [None, 5, {"metric": 5}, {"metric": {}, "values": 5}]}},
        {"status": "success", "data": {"result": [{"metric": {"__name__": "vllm:x"}, "values": [None, [], ["a"]]}]}},
        {
            "status": "success",
            "data": {
                "result": [
                    {
                        "metric": {"__name__": "vllm:spec_decode_num_drafts_total", "position": "²", "x": [1]},
                        "values": [["NaN", "1"], [1e308, "1"], [{}, 1], [5, "Infinity"], [1, "9" * 400], [6, None]],
                    }
                ]
            },
        },
        {"status": "error", "error": ["x"] * 9},
    ],
)
def test_an_answer_of_any_shape(document: object) -> None:
    body = json.dumps(document).encode()
    with _server(_whole(OK + b"Content-Length: %d\r\n" % len(body), body)) as port, suppress(NoInputError):
        (found,) = report(f"prometheus://127.0.0.1:{port}").document["inputs"]
        assert found["lines"] == found["records"] + sum(x["count"] for x in found["losses"])
        assert not [x for x in found["losses"] if "reader error" in x["what"]]


def test_a_redirect_on_the_same_server_is_followed_and_a_packed_answer_read() -> None:
    def answer(peer: socket.socket, port: int) -> None:
        asked = peer.recv(0)
        del asked
        body = gzip.compress(b"fine")
        peer.sendall(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    first = True

    def turn(peer: socket.socket, port: int) -> None:
        nonlocal first
        if first:
            first = False
            _whole(b"HTTP/1.1 301 Moved\r\nLocation: /metrics/\r\nContent-Length: 0\r\nConnection: close\r\n")(
                peer, port
            )
        else:
            answer(peer, port)

    with _server(turn) as port:
        assert Server().get(f"http://127.0.0.1:{port}/metrics") == b"fine"


def test_a_password_in_an_address_is_refused_unnamed() -> None:
    with pytest.raises(UsageError) as told:
        report("prometheus://user:word@host:9090")
    assert "word" not in told.value.message.replace("password", "")


SCRAPE = (
    b'vllm:spec_decode_num_drafts_total{engine="0"} 1000\n'
    b'vllm:spec_decode_num_draft_tokens_total{engine="0"} 4000\n'
    b'vllm:spec_decode_num_accepted_tokens_total{engine="0"} 2400\n'
)


@pytest.mark.slow
def test_an_address_is_one_scrape() -> None:
    """1 + 2,400 / 1,000 = 3.40 tokens per drafting step; an address without a path is asked for /metrics, once a report."""
    asked: list[int] = []

    def answer(peer: socket.socket, _: int) -> None:
        asked.append(len(asked))
        body = SCRAPE if len(asked) < 3 else SCRAPE.replace(b" 2400", b" 1200")
        peer.sendall(OK + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    with _server(answer) as port:
        found = report([f"http://user:secret@127.0.0.1:{port}/metrics?token=secret"])
        bare = report([f"http://127.0.0.1:{port}"])
        later = report([f"http://127.0.0.1:{port}"])
    assert len(asked) == 3
    assert [one.document["acceptance"]["tokens_per_step"] for one in (found, bare, later)] == pytest.approx(
        [3.4, 3.4, 2.2]
    )
    assert found.document["acceptance"]["rate_of_drafted"] == pytest.approx(0.6)
    assert "secret" not in json.dumps(found.document)


@pytest.mark.one_of(4)
@pytest.mark.parametrize("name", RUNS)
def test_an_address_that_does_not_answer_is_a_loss_of_that_input(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.prom").write_bytes(SCRAPE)
    with _server(HOSTILE[name][0]) as port, within(http_timeout=0.6, http_max=1 << 20):
        found = report([str(tmp_path / "a.prom"), f"http://user:secret@127.0.0.1:{port}/metrics?token=secret"])
    assert found.document["acceptance"]["rate_of_drafted"] == pytest.approx(0.6)
    assert "secret" not in json.dumps(found.document)
    assert HOSTILE[name][1].strip() in json.dumps(found.document["inputs"])
