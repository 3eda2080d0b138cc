"""TensorRT-LLM perf-metrics JSON Lines: one object a request; all zero in the PyTorch flow before PR 17082.

Prefill and decoding apart write ctx_perf_metrics and gen_perf_metrics; speculation is in the latter.
"""

from sdtrace.readers import counts
from sdtrace.readers.records.shape import Node, Rows, Shape, value


def rows(node: Node) -> Rows | None:
    """The object that holds timing_metrics, or speculative_decoding with total_draft_tokens or num_spec_steps."""
    spec, times = node.get("speculative_decoding"), node.get("timing_metrics")
    if isinstance(spec, dict) and "num_spec_steps" in spec:
        return [_choice(spec)]
    if not isinstance(spec, dict) or "total_draft_tokens" not in spec:
        return [] if isinstance(times, dict) and "arrival_time" in times else None
    times = times if isinstance(times, dict) else {}
    first, last = value(times, "first_token_time"), value(times, "last_token_time")
    row: Node = {"engine": "tensorrt-llm", "surface": "perf metrics", "basis": "request", "said": spec}
    row["busy_ms"] = None if first is None or last is None else (last - first) * 1e3
    if not value(spec, "total_draft_tokens"):  # zeros of the flow that did not count are no counts
        return [row | {"family": "zeros: not counted before PR 17082"}]
    row |= {"drafted": value(spec, "total_draft_tokens"), "accepted": value(spec, "total_accepted_draft_tokens")}
    return [row | {"said_rate": value(spec, "acceptance_rate")}]


def _choice(spec: Node) -> Node:
    """`speculative_decoding` of a choice (PR 19311): steps are counted beside tokens."""
    steps, histogram = value(spec, "num_spec_steps"), counts.histogram(spec.get("acceptance_histogram"))
    drafted, accepted = (_first(spec, f"total_{n}", f"num_{n}") for n in ("draft_tokens", "accepted_draft_tokens"))
    row: Node = {"engine": "tensorrt-llm", "surface": "response", "basis": "request", "said": spec}
    row |= {"drafts": steps, "drafted": drafted, "accepted": accepted, "histogram": histogram}
    row |= {
        "said_length": value(spec, "mean_acceptance_length"),
        "said_rate": _first(spec, "acceptance_rate", "draft_acceptance_rate"),
    }
    return row | ({"accepted_by_position": counts.above(histogram)} if histogram else {})


def _first(node: Node, *names: str) -> float | None:
    return next((v for name in names if (v := value(node, name)) is not None), None)


SHAPE = Shape(
    "tensorrt-llm-requests", "tensorrt-llm", "TensorRT-LLM perf-metrics records", "`perf_metrics.timing_metrics`", rows
)
