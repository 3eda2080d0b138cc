"""A client of one engine: bounded, polite, several requests at a time, its key from the environment and nowhere else."""

import os
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import orjson

from sdtrace.errors import NoInputError, UsageError
from sdtrace.limits import USUAL, Limits, current
from sdtrace.readers.io.http import Server, Unanswered
from sdtrace.readers.json_value import parsed
from sdtrace.redaction import redacted

#: Where the key is looked for, unless another name is given.
KEY = "SDTRACE_API_KEY"
#: Seconds that an engine may take for an answer where no --http-timeout is given: it writes or reads a whole text for it.
PATIENCE = 300.0
#: Times that a request is asked again where the server is busy, and the first pause in seconds.
_AGAIN, _PAUSE = 2, 0.5
#: The best tokens of a row that are asked for: vLLM lists no more than 20 unless it is told to (--max-logprobs); other interfaces list 5.
TOP, FEWER = 20, (5, 1)
#: Codes of HTTP of a busy server, of one that wants a key, and of one that does not do what it is asked.
_BUSY, LOCKED, UNWILLING = (429, 503), {401, 403}, 400
#: Seconds after which a wait for an answer looks whether somebody wants to stop.
_LOOK = 0.2

T = TypeVar("T")
R = TypeVar("R")
Body = dict[str, Any]
Job = tuple[str, Body]


@dataclass
class Client:
    """`url`: of the server, with or without /v1. `rate`: requests a second at most, 0 = as fast as it answers."""

    url: str
    key_from: str = KEY
    concurrency: int = 4
    rate: float = 0.0
    limits: Limits = field(
        default_factory=current
    )  #: of the thread that makes the client; threads that ask know none of their own
    requests: int = 0
    _next: float = 0.0
    _lock: Any = field(default_factory=threading.Lock, repr=False)
    _local: Any = field(default_factory=threading.local, repr=False)
    _tls: Any = field(default=None, repr=False)
    _servers: list[Server] = field(default_factory=list, repr=False)
    _over: bool = field(default=False, repr=False)
    failed: Unanswered | None = None  #: why the last `get` came to nothing
    refused: set[int] = field(default_factory=set)  #: codes of HTTP by which the server refused what it was asked

    @property
    def shown(self) -> str:
        """The address without credentials."""
        return redacted(self.url)

    @property
    def key_hint(self) -> str:
        """What to do where a key is wanted."""
        return f"put the key into the variable {self.key_from}; --api-key-env names another one"

    @property
    def hint(self) -> str | None:
        """What to do about requests that were refused; None where none was, or nothing is known."""
        if self.refused & LOCKED:
            return self.key_hint
        if UNWILLING in self.refused:
            return f"the server refuses the requests: its log says why; fewer best tokens than {TOP} were asked for too"
        return None

    def get(self, path: str) -> bytes | None:
        """The answer, None where there is none at that path."""
        with self._lock:
            self._tls = (brief := Server(self.limits, self._tls)).tls  # it tells of itself at once, or not at all
        try:
            return brief.get(self._at(path), headers=self._headers())
        except Unanswered as error:
            self.failed = error
            return None

    def ask(self, path: str, body: Body) -> Any:
        """The JSON answer. Raises Unanswered."""
        data = orjson.dumps(body)
        for turn in range(_AGAIN + 1):
            self._wait()
            try:
                answer = parsed(self._server().post(self._at(path), data, self._headers()))
            except Unanswered as error:
                if error.status not in _BUSY or turn == _AGAIN:
                    self.refused |= set() if error.status is None else {error.status}
                    raise
                time.sleep(_PAUSE * 2**turn)
                continue
            if not isinstance(answer, dict):
                raise Unanswered("an answer that is no JSON object", "check the address")
            return answer
        raise AssertionError

    def all(
        self, jobs: Sequence[Job], progress: Callable[[int], None] = lambda n: None, until: float | None = None
    ) -> Iterator[Any]:
        """Answers in order; an Unanswered where there was none, None for what was not asked any more (`until`: monotonic seconds)."""

        def one(job: Job) -> Any:
            if until is not None and time.monotonic() > until:
                return None
            try:
                return self.ask(*job)
            except Unanswered as error:
                return error

        for n, answer in enumerate(self.together(one, jobs), 1):
            progress(n)
            yield answer

    def together(self, ask: Callable[[T], R], jobs: Sequence[T]) -> Generator[R, None, None]:
        """What `ask` makes of each, in order, several at a time. Where it is left early (Ctrl-C), nothing more is asked or waited for."""
        pool = ThreadPoolExecutor(self.concurrency)
        try:
            for future in [pool.submit(ask, job) for job in jobs]:
                while not future.done():  # polars' handler of SIGINT restarts a wait that has no end
                    wait([future], _LOOK)
                yield future.result()
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            with self._lock:
                self._over = not isinstance(error, GeneratorExit)
                for one in self._servers:
                    one.stop(for_good=self._over)
            raise
        pool.shutdown()

    def _server(self) -> Server:
        if not hasattr(self._local, "server"):
            patient = self.limits.http_timeout == USUAL.http_timeout
            limits = replace(self.limits, http_timeout=PATIENCE) if patient else self.limits
            with self._lock:
                if self._over:
                    raise Unanswered("not asked any more", "ask again")
                made = self._local.server = Server(limits, self._tls)  # one a thread: it holds its connections
                self._tls = made.tls
                self._servers.append(made)
        found: Server = self._local.server
        return found

    def _headers(self) -> Mapping[str, str]:
        key = os.environ.get(self.key_from)
        return {"Authorization": f"Bearer {key}"} if key else {}

    def _at(self, path: str) -> str:
        parts = urlsplit(self.url if "://" in self.url else f"http://{self.url}")
        begin = parts.path.rstrip("/").removesuffix("/v1")
        return urlunsplit(parts._replace(path=f"{begin}{path}", query=parts.query, fragment=""))

    def _wait(self) -> None:
        with self._lock:
            self.requests += 1
            if not self.rate:
                return
            now = time.monotonic()
            at = max(now, self._next)
            self._next = at + 1 / self.rate
        time.sleep(max(at - now, 0))


@dataclass(frozen=True)
class Engine:
    """What answers there: vllm, sglang or llama.cpp, its version, the model that it serves, and how it drafts where it says so. `top`: how
    many of the best tokens it is asked for."""

    name: str
    version: str | None
    model: str | None
    drafter: str | None = None
    top: int = TOP

    @property
    def fewer(self) -> "Engine | None":
        """The same one asked for fewer of the best tokens, as a server wants it that refuses so many; None where no fewer would tell."""
        less = next((n for n in FEWER if n < self.top), None)
        return None if less is None or self.name == "llama.cpp" else replace(self, top=less)


def known(client: Client) -> Engine:
    """Which engine it is. Raises NoInputError where nothing answers, UsageError where what answers cannot score ids."""
    page = client.get("/v1/models")
    models, why = parsed(page or b""), client.failed
    if page is None and why is not None and why.status is None:
        raise NoInputError(
            f"{client.shown}: {why}", f"{why.hint}; a server of vLLM, SGLang or llama.cpp has to run there"
        )
    data = models.get("data") if isinstance(models, dict) else None
    model = str(data[0].get("id")) if isinstance(data, list) and data and isinstance(data[0], dict) else None
    for path, name in (("/version", "vllm"), ("/get_server_info", "sglang"), ("/server_info", "sglang")):
        told = parsed(client.get(path) or b"")
        if isinstance(told, dict) and "version" in told:
            return Engine(name, str(told["version"])[:60], model, _drafter(told) if name == "sglang" else None)
    told = parsed(client.get("/props") or b"")
    if isinstance(told, dict) and "build_info" in told:
        return Engine("llama.cpp", str(told["build_info"])[:60], model)
    raise _unknown(client, page, why if page is None else None)


def _drafter(arguments: Mapping[str, Any]) -> str | None:
    """Of SGLang's server arguments: "chain" where drafts stand in a chain, each kept where its coin falls below p."""
    chain = {
        "speculative_eagle_topk": 1, "speculative_accept_threshold_single": 1.0, "speculative_accept_threshold_acc": 1.0,
    }  # fmt: skip
    plain = arguments.get("speculative_algorithm") in ("EAGLE", "EAGLE3", "NEXTN", "STANDALONE")
    lossless = not arguments.get("speculative_use_rejection_sampling")
    return (
        "chain" if plain and lossless and all(arguments.get(name) == value for name, value in chain.items()) else None
    )


def _unknown(client: Client, page: bytes | None, why: Unanswered | None) -> NoInputError | UsageError:
    """What answers there, where it is no engine."""
    shown = client.shown
    if why is not None and why.status in LOCKED:
        return NoInputError(f"{shown}: {why}", client.key_hint)
    if page is not None and page.lstrip()[:1] == b"<":
        return UsageError(
            f"{shown}: a web page answers, no engine", "give the address of the engine's API, not of a page or a login"
        )
    path = urlsplit(client.url if "://" in client.url else f"http://{client.url}").path
    hint = "give the engine's own address"
    if path.strip("/") not in ("", "v1"):
        hint += f", without {path}"
    return UsageError(f"{shown}: neither vLLM, SGLang nor llama.cpp by /version, /get_server_info and /props", hint)
