"""TensorRT-LLM perf-metrics JSON Lines: one object a request; all zero in the PyTorch flow before PR 17082."""

from sdtrace.readers.records.shape import Node, Rows, Shape, value


def rows(node: Node) -> Rows | None:
    """A record with perf_metrics.timing_metrics, or its two parts when prefill and decoding are apart."""
    metrics = node.get("perf_metrics")
    if not isinstance(metrics, dict) or "timing_metrics" not in metrics:
        return None
    spec, times = metrics.get("speculative_decoding"), metrics["timing_metrics"]
    if not isinstance(spec, dict):
        return []
    first, last = value(times, "first_token_time"), value(times, "last_token_time")
    row = {
        "engine": "tensorrt-llm",
        "surface": "perf metrics",
        "basis": "request",
        "drafted": value(spec, "total_draft_tokens"),
        "accepted": value(spec, "total_accepted_draft_tokens"),
        "said_rate": value(spec, "acceptance_rate"),
        "busy_ms": None if first is None or last is None else (last - first) * 1e3,
        "said": spec,
    }
    return [row]


SHAPE = Shape("tensorrt-llm-requests", "tensorrt-llm", "TensorRT-LLM perf-metrics records", rows)
