"""TensorRT-LLM iteration stats: one object an iteration, over its batch. Lengths are never averaged, counts are summed."""

from datetime import UTC, datetime

from sdtrace.readers.records.shape import Node, Rows, Shape, value


def rows(node: Node) -> Rows | None:
    """An object with iterLatencyMS at its top."""
    if "iterLatencyMS" not in node or "iter" not in node:
        return None
    spec = node.get("specDecodingStats")
    row: Node = {
        "engine": "tensorrt-llm",
        "surface": "iteration stats",
        "basis": "iteration",
        "family": "PyTorch backend",
    }
    row |= {"running": value(node, "numActiveRequests"), "waiting": value(node, "numQueuedRequests")}
    row |= {"busy_ms": value(node, "hostStepTimeMS"), "at": _moment(node.get("timestamp"))}
    if not isinstance(spec, dict):
        return [row]
    drafts = value(spec, "numRequestsWithDraftTokens")
    row |= {"drafts": drafts, "drafted": value(spec, "numDraftTokens"), "accepted": value(spec, "numAcceptedTokens")}
    if drafts:  # an iteration without drafts prints 0.0 or 1.0: neither is data
        row["said_length"] = value(spec, "acceptanceLength")
    return [row | {"draft_ms": value(spec, "iterLatencyMS") or None, "said": spec | {"iter": node["iter"]}}]


def _moment(text: object) -> float | None:
    """MM-DD-YYYY HH:MM:SS.ffffff of the server's clock, taken as UTC."""
    try:
        return datetime.strptime(str(text), "%m-%d-%Y %H:%M:%S.%f").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


SHAPE = Shape(
    "tensorrt-llm-stats", "tensorrt-llm", "TensorRT-LLM iteration stats", "`iter` and `iterLatencyMS`", rows, deep=False
)
