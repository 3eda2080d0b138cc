"""Asking a server: within a time and a size for the whole answer, never led to another host, never heard with its address's secrets."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from sdtrace.limits import Limits, allowing, current, option, size

#: Redirects that are followed on one host.
REDIRECTS = 5
#: What an error of the connection is called to people.
_WHY = {"ConnectError": "connection refused, or no such host", "RemoteProtocolError": "no HTTP"}


class Unanswered(OSError):
    """Why there is no answer that can be used; `hint` is what to do, `status` the code of HTTP where it is that."""

    def __init__(self, why: str, hint: str, status: int | None = None) -> None:
        super().__init__(why)
        self.hint, self.status = hint, status


def _refused(status: int, hint: str) -> Unanswered:
    return Unanswered(f"no answer (status {status})", hint, status)


class Server:
    """Asks one server, again and again if need be. `tls`: that of another one, to share."""

    def __init__(self, limits: Limits | None = None, tls: Any = None) -> None:
        import httpx  # only here: the rest of the tool opens no connection

        self._httpx, self._limits = httpx, limits or current()
        self.tls = httpx.create_ssl_context() if tls is None else tls  # slow to make, and the same every time
        self._sockets: list[socket.socket] = []
        self._over = False

    def get(self, url: str, params: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None) -> bytes:
        """The body of the answer. Raises Unanswered."""
        return self._asked(url, params, headers, None)

    def post(self, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
        """The body of the answer to a JSON body. No redirect is followed. Raises Unanswered."""
        return self._asked(url, None, {"Content-Type": "application/json", **(headers or {})}, body)

    def stop(self, *, for_good: bool = False) -> None:
        """End what is being asked, from another thread: it is not answered. `for_good`: nor is what is only about to be."""
        self._over = self._over or for_good
        for one in list(self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _asked(
        self, url: str, params: Mapping[str, Any] | None, headers: Mapping[str, str] | None, body: bytes | None
    ) -> bytes:
        httpx, late = self._httpx, threading.Event()
        try:
            asked = httpx.URL(url, params=params) if params else httpx.URL(url)
            given = {"Accept-Encoding": "gzip", **(headers or {})}
            timeout = self._limits.http_timeout
            with self._deadline(late), httpx.Client(timeout=timeout, verify=self.tls, headers=given) as client:
                return self._followed(client, asked) if body is None else self._posted(client, asked, body)
        except Unanswered:
            if not late.is_set():
                raise
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError) as error:
            if not (late.is_set() or isinstance(error, httpx.TimeoutException)):
                hint = "check host and port, and whether the server speaks HTTP"
                raise Unanswered(f"no answer ({_WHY.get(type(error).__name__, type(error).__name__)})", hint) from None
        seconds = self._limits.http_timeout
        raise Unanswered(f"no whole answer in {seconds:g} s", f"{option('http_timeout')} {2 * seconds:g} waits longer")

    @contextmanager
    def _deadline(self, late: threading.Event) -> Iterator[None]:
        """A server that sends a little now and then never lets a read time out: when the time is over, its connection is."""

        def end() -> None:
            late.set()
            self.stop()

        timer = threading.Timer(self._limits.http_timeout, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self._sockets = []

    def _noted(self, name: str, info: Mapping[str, Any]) -> None:
        """Remember the socket of a connection."""
        if name in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            found = info["return_value"].get_extra_info("socket")
            self._sockets += [found] if found is not None else []
            if self._over:
                self.stop()

    def _followed(self, client: Any, url: Any) -> bytes:
        for _ in range(REDIRECTS + 1):
            with client.stream("GET", url, extensions={"trace": self._noted}) as answer:
                if answer.is_redirect:
                    url = self._next(url, answer.headers.get("location", ""))
                    continue
                if answer.status_code != 200:
                    raise _refused(answer.status_code, "check the address")
                return self._body(answer)
        raise Unanswered("redirects without an end", "check the address")

    def _posted(self, client: Any, url: Any, body: bytes) -> bytes:
        with client.stream("POST", url, content=body, extensions={"trace": self._noted}) as answer:
            if not answer.is_success:  # a webhook may say 202 or 204
                hint = "the key is wrong or missing" if answer.status_code in (401, 403) else "check the address"
                raise _refused(answer.status_code, hint)
            return self._body(answer)

    def _next(self, url: Any, location: str) -> Any:
        """Where a redirect leads: another place of the same server, or the same by TLS. A token is meant for nobody else."""
        target = url.join(location)
        ports = [u.port or {"http": 80, "https": 443}.get(u.scheme) for u in (url, target)]
        upgraded = (url.scheme, target.scheme) == ("http", "https")
        if target.host != url.host or not (upgraded or (target.scheme == url.scheme and ports[0] == ports[1])):
            raise Unanswered("a redirect to another server", "if that server is meant, give its own address")
        return target

    def _body(self, answer: Any) -> bytes:
        most, blocks, held = self._limits.http_max, [], 0
        # of a stream that is packed twice, or otherwise, every block could come to gigabytes
        if answer.headers.get("content-encoding", "identity").strip().lower() not in ("identity", "gzip", ""):
            raise Unanswered("an answer packed as nobody asked for", "check what stands between here and the server")
        for block in answer.iter_bytes():
            held += len(block)
            if held > most:
                advice = allowing("http_max", most)
                raise Unanswered(f"an answer of more than {size(most)}", advice)
            blocks.append(block)
        return b"".join(blocks)
