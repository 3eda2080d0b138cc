"""A store of objects in a few lines: what S3 and Google's XML interface have in common (list, size, ranges)."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.made.served import Quiet, served

_ENTRY = (
    "<Contents><Key>{}</Key><Size>{}</Size><ETag>{}</ETag><LastModified>2026-11-24T00:00:00.000Z</LastModified>"
    "<StorageClass>STANDARD</StorageClass></Contents>"
)


@contextmanager
def bucket(name: str, objects: dict[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """Serves `objects` (which may change meanwhile) as a bucket; gives its address and what it was asked."""
    asked: list[str] = []

    class Handler(Quiet, BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            held, _, key = unquote(parts.path).lstrip("/").partition("/")
            asked.append(f"{self.command} {key} {self.headers.get('Range', '')}".strip())
            if held != name:
                self._answer(404, b"<Error><Code>NoSuchBucket</Code><Message>No such bucket.</Message></Error>")
            elif not key:
                prefix = parse_qs(parts.query).get("prefix", [""])[0]
                told = [_ENTRY.format(escape(k), len(d), md5(d).hexdigest()) for k, d in objects.items()]
                inside = "".join(e for k, e in zip(objects, told, strict=True) if k.startswith(prefix))
                self._answer(
                    200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{inside}</ListBucketResult>".encode()
                )
            elif key not in objects:
                self._answer(404, b"")
            elif (
                self.headers.get("If-Match", md5(objects[key]).hexdigest()).strip('"') != md5(objects[key]).hexdigest()
            ):
                self._answer(412, b"")
            else:
                self._give(objects[key])

        do_HEAD = do_GET  # noqa: N815

        def _give(self, data: bytes) -> None:
            span = self.headers.get("Range")
            if span is None:
                self._answer(200, data, {"ETag": md5(data).hexdigest()})
                return
            first, last = (int(n) for n in span.removeprefix("bytes=").split("-"))
            part = data[first : last + 1]
            place = f"bytes {first}-{first + len(part) - 1}/{len(data)}"
            self._answer(206, part, {"ETag": md5(data).hexdigest(), "Content-Range": place})

        def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.reply(body, status, {"Last-Modified": "Tue, 24 Nov 2026 00:00:00 GMT", **(headers or {})})

    with served(Handler) as address:
        yield address, asked
