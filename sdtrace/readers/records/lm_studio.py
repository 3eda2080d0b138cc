"""LM Studio: drafted and accepted tokens of a response, in `usage` or `stats`, in the words of its REST API or of its SDKs."""

from sdtrace.readers.records.shape import Node, Rows, Shape, value
from sdtrace.schema.counters import Row

_DRAFTED, _ACCEPTED = (
    ("total_draft_tokens_count", "totalDraftTokensCount"),
    ("accepted_draft_tokens_count", "acceptedDraftTokensCount"),
)
_EMITTED = ("completion_tokens", "predicted_tokens_count", "predictedTokensCount")
_SPEED, _SECONDS = ("tokens_per_second", "tokensPerSecond"), ("generation_time", "total_time_sec", "totalTimeSec")


def rows(node: Node) -> Rows | None:
    """The response whose usage or stats count draft tokens."""
    parts = [part for name in ("usage", "stats") if isinstance(part := node.get(name), dict)]
    if not any(name in part for part in (node, *parts) for name in _ACCEPTED):
        return None
    known = {name: v for part in (node, *parts) for name, v in part.items()}
    seconds = _first(known, _SECONDS)
    row: Row = {"engine": "lm-studio", "surface": "response", "basis": "request"}
    row |= {"drafted": _first(known, _DRAFTED), "accepted": _first(known, _ACCEPTED)}
    row |= {"emitted": _first(known, _EMITTED), "generation_tps": _first(known, _SPEED)}
    row["busy_ms"] = None if seconds is None else seconds * 1e3
    said = {n: v for n, v in known.items() if "raft" in n and not isinstance(v, dict | list)}
    return [row | {"said": said}]


def _first(known: Node, names: tuple[str, ...]) -> float | None:
    return next((v for name in names if (v := value(known, name)) is not None), None)


SHAPE = Shape("lm-studio", "lm-studio", "LM Studio responses", "`accepted_draft_tokens_count`", rows)
