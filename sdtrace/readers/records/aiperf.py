"""AIPerf profile_export.jsonl and its aggregates. Rates are copied by it from the engine, not checked."""

from typing import Any

from sdtrace.readers.records.shape import Node, Rows, Shape, by_position, numbers, value

_TOTALS = {
    "spec_decode_total_steps": "drafts",
    "total_spec_decode_steps": "drafts",
    "total_num_spec_steps": "drafts",
    "total_num_accepted_draft_tokens": "accepted",
    "total_num_draft_tokens": "drafted",
    "total_accepted_draft_tokens": "accepted",
    "total_draft_tokens": "drafted",
}


def rows(node: Node) -> Rows | None:
    """A record with spec_decode_acceptance, or an aggregate with the pooled histogram."""
    found = node.get("spec_decode_acceptance")
    if isinstance(found, dict):
        return [_record(found)]
    pooled = _dense(node.get("pooled_spec_decode_acceptance_histogram"))
    return None if pooled is None else [_pooled(node, pooled)]


def _record(found: Node) -> dict[str, Any]:
    histogram = _dense(found.get("acceptance_histogram")) or numbers(found, "acceptance_histogram")
    return {
        "engine": "aiperf",
        "surface": "spec_decode_acceptance",
        "family": str(found.get("engine") or ""),
        "basis": "request",
        "drafts": value(found, "num_spec_steps"),
        "drafted": value(found, "num_draft_tokens"),
        "accepted": value(found, "num_accepted_draft_tokens"),
        "emitted": value(found, "completion_tokens"),
        "k": found.get("num_spec_tokens"),
        "histogram": histogram,
        "accepted_by_position": by_position(histogram) if histogram else None,
        "said_length": value(found, "mean_acceptance_length"),
        "said_rate": value(found, "draft_acceptance_rate"),
        "said": {k: v for k, v in found.items() if not isinstance(v, dict | list)},
    }


def _pooled(node: Node, histogram: list[float]) -> dict[str, Any]:
    row: dict[str, Any] = {"engine": "aiperf", "surface": "aggregate", "basis": "run", "histogram": histogram}
    row |= {"drafts": sum(histogram), "accepted": sum(j * n for j, n in enumerate(histogram))}
    row |= {"accepted_by_position": by_position(histogram)}
    return row | {name: value(node, key) for key, name in _TOTALS.items() if value(node, key) is not None}


def _dense(sparse: Any) -> list[float] | None:
    """A histogram with string keys as a list."""
    if not isinstance(sparse, dict) or not sparse or not all(str(k).isdigit() for k in sparse):
        return None
    if not all(isinstance(v, int | float) for v in sparse.values()) or max(int(k) for k in sparse) > 4096:
        return None
    return [float(sparse.get(str(j)) or sparse.get(j) or 0) for j in range(max(int(k) for k in sparse) + 1)]


SHAPE = Shape("aiperf", "aiperf", "AIPerf records or aggregates", rows)
