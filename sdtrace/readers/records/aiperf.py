"""AIPerf profile_export.jsonl and its aggregates. Rates are copied by it from the engine, not checked.

The struct of a record holds fractions; the scalars of records and aggregates hold percent.
"""

from typing import Any

from sdtrace.readers import counts
from sdtrace.readers.records.shape import Node, Rows, Shape, value
from sdtrace.schema.counters import Row

#: totals of an aggregate -> column
_TOTALS = {
    "total_spec_decode_steps": "drafts",
    "total_accepted_draft_tokens": "accepted",
    "total_draft_tokens": "drafted",
}
#: scalars of a record's metrics -> column
_SCALARS = {
    "spec_decode_steps": "drafts",
    "spec_decode_accepted_draft_tokens": "accepted",
    "spec_decode_draft_tokens": "drafted",
}


def rows(node: Node) -> Rows | None:
    """A record with spec_decode_acceptance, or with its scalars only; an aggregate with pooled histogram or totals."""
    found = node.get("spec_decode_acceptance")
    if isinstance(found, dict) and ("num_spec_steps" in found or "acceptance_histogram" in found):
        return [_record(found)]
    pooled = _dense(node.get("pooled_spec_decode_acceptance_histogram"))
    if pooled is not None or "total_spec_decode_steps" in node:
        return [_pooled(node, pooled)]
    metrics = node.get("metrics")
    if isinstance(metrics, dict) and "spec_decode_steps" in metrics:
        return [_scalars(metrics)]
    return None


def _record(node: Node) -> Row:
    histogram = counts.histogram(node.get("acceptance_histogram"))
    return {
        "engine": "aiperf",
        "surface": "spec_decode_acceptance",
        "family": f"measured on {node['engine']}" if isinstance(node.get("engine"), str) else None,
        "basis": "request",
        "drafts": value(node, "num_spec_steps"),
        "drafted": value(node, "num_draft_tokens"),
        "accepted": value(node, "num_accepted_draft_tokens"),
        "emitted": value(node, "completion_tokens"),
        "k": value(node, "num_spec_tokens"),
        "histogram": histogram,
        "accepted_by_position": counts.above(histogram) if histogram else None,
        "said_length": value(node, "mean_acceptance_length"),
        "said_rate": value(node, "draft_acceptance_rate"),
        "said": {k: v for k, v in node.items() if not isinstance(v, dict | list)},
    }


def _pooled(node: Node, histogram: list[float] | None) -> Row:
    row: Row = {"engine": "aiperf", "surface": "aggregate", "basis": "run", "histogram": histogram}
    if histogram:
        row |= {"drafts": sum(histogram), "accepted": sum(j * n for j, n in enumerate(histogram))}
        row |= {"accepted_by_position": counts.above(histogram)}
    row |= {column: v for key, column in _TOTALS.items() if (v := _scalar(node, key)) is not None}
    length = _scalar(node, "spec_decode_token_weighted_acceptance_length")
    percent = _scalar(node, "spec_decode_overall_draft_acceptance_rate")
    row |= {"said_length": length, "said_rate": None if percent is None else percent / 100}
    return row | {"said": {k: _scalar(node, k) for k in node if "spec_decode" in k and _scalar(node, k) is not None}}


def _scalars(metrics: Node) -> Row:
    row: Row = {"engine": "aiperf", "surface": "record metrics", "basis": "request"}
    row |= {column: _scalar(metrics, key) for key, column in _SCALARS.items()}
    percent = _scalar(metrics, "spec_decode_draft_acceptance_rate")
    row |= {"said_length": _scalar(metrics, "spec_decode_acceptance_length")}
    return row | {"said_rate": None if percent is None else percent / 100}


def _scalar(node: Node, key: str) -> float | None:
    """A metric of AIPerf's files: a number, or an object with `value` (a record) or `avg` (an aggregate)."""
    found = node.get(key)
    if isinstance(found, dict):
        return value(found, "value") if "value" in found else value(found, "avg")
    return value(node, key)


def _dense(sparse: Any) -> list[float] | None:
    """A histogram with string keys as a list."""
    return counts.histogram(sparse) if isinstance(sparse, dict) else None


SHAPE = Shape("aiperf", "aiperf", "AIPerf records or aggregates", "`spec_decode_acceptance`", rows)
