"""SGLang /generate: `meta_info` with output_token_logprobs [[logprob, id, text], ...] and the top ones likewise.

Its logprobs are divided by the temperature and not cut, unless the server was started to return the original ones.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sdtrace.readers.responses.parameters import whole
from sdtrace.readers.responses.position import Position, floored, joined, key

Node = Mapping[str, Any]


def rows(node: Node) -> Iterator[dict[str, Any]]:
    """Columns of RESPONSE; nothing where the object is no such answer."""
    meta = node.get("meta_info")
    if not isinstance(meta, Mapping) or not isinstance(meta.get("output_token_logprobs"), list):
        return
    told, top = meta["output_token_logprobs"], meta.get("output_top_logprobs")
    tops = top if isinstance(top, list) and len(top) == len(told) else [None] * len(told)
    positions = []
    for one, listed in zip(told, tops, strict=True):
        entry = _entry(one)
        if entry is None:
            return
        entries = [e for e in map(_entry, listed if isinstance(listed, list) else ()) if e is not None]
        positions.append(Position.of(*entry, entries))
    finish = meta.get("finish_reason")
    yield joined(positions, "top") | {
        "request_id": meta.get("id"),
        "choice": 0,
        "engine": "sglang",
        "version": meta.get("weight_version"),
        "finish_reason": finish.get("type") if isinstance(finish, Mapping) else finish,
        "completion_tokens": whole(meta.get("completion_tokens")),
        "temperature_last": False,
    }


def _entry(one: Any) -> tuple[int, float | None] | None:
    if not isinstance(one, list | tuple) or len(one) < 2:
        return None
    return key(one[1], one[2] if len(one) > 2 else None), floored(one[0])
