"""Stock responses with logprobs inside any JSON: one dialect a file, with the request that is kept beside them."""

from collections.abc import Iterator, Mapping
from typing import Any

from sdtrace.readers.responses import llamacpp, openai, sglang
from sdtrace.readers.responses.parameters import parameters
from sdtrace.readers.responses.stream import Stream, chunks

_DIALECTS = (sglang.rows, llamacpp.rows, openai.rows)
#: How deep a response may stand inside other objects.
DEPTH = 5
#: Where the body of a request stands in what a client kept of it.
_BODIES = ("json", "body", "payload", "data")


def responses(value: Any, asked: Mapping[str, Any] | None = None, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Columns of RESPONSE of every response inside a JSON value; `asked` is the request that belongs to them."""
    if isinstance(value, list):
        if depth < DEPTH:
            for inner in value:
                yield from responses(inner, asked, depth + 1)
        return
    if not isinstance(value, Mapping):
        return
    if "response" in value and isinstance(value.get("request"), Mapping):
        asked = body(value["request"])
        stream = Stream()
        for chunk in chunks(value["response"]):
            stream.take(chunk)
        if stream.rows:
            yield from (with_request(row, asked) for row in stream.responses())
            return
    made = [row for rows in _DIALECTS for row in rows(value)]
    for row in made:
        yield with_request(row, asked)
    if not made and depth < DEPTH:
        for inner in value.values():
            if isinstance(inner, Mapping | list):
                yield from responses(inner, asked, depth + 1)


def holds(value: Mapping[str, Any]) -> bool:
    """Whether the object itself is a response with logprobs, or the kept stream of one."""
    if any(True for rows in _DIALECTS for _ in rows(value)):
        return True
    kept = value.get("response")
    return isinstance(value.get("request"), Mapping) and any(
        True for chunk in chunks(kept) for rows in _DIALECTS for _ in rows(chunk)
    )


def answered(value: Mapping[str, Any]) -> bool:
    """Whether the object is a request with an answer whose text an engine could score."""
    kept = value.get("response")
    if not isinstance(value.get("request"), Mapping):
        return False
    part = next(chunks(kept), kept)
    if not isinstance(part, Mapping):
        return False
    choices = part.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    native = isinstance(part.get("content", part.get("text")), str) and bool(
        {"tokens_predicted", "meta_info", "stop"} & part.keys()
    )
    return native or (isinstance(first, Mapping) and bool({"message", "text", "delta"} & first.keys()))


def body(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The body of a request as a client keeps it: itself, or inside what describes the call."""
    if not {"url", "headers", "method"} & request.keys():
        return request
    return next((request[name] for name in _BODIES if isinstance(request.get(name), Mapping)), request)


def with_request(row: dict[str, Any], asked: Mapping[str, Any] | None) -> dict[str, Any]:
    """The row with what its request asked for; what the engine itself echoes stands."""
    if asked is None:
        return row
    given = parameters(asked, row["engine"])
    return given | {name: value for name, value in row.items() if value is not None}
