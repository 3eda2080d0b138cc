"""trtllm-bench --report_json: percentiles and means over requests; sums are in none of them."""

from sdtrace.readers.records.shape import Node, Rows, Shape, value
from sdtrace.schema.counters import Row


def rows(node: Node) -> Rows | None:
    """The report with its parts performance and request_info; without decoding_stats it is a plain run."""
    performance, asked = node.get("performance"), node.get("request_info")
    if (
        not isinstance(performance, dict)
        or not isinstance(asked, dict)
        or "system_output_throughput_tok_s" not in performance
    ):
        return None
    engine = node.get("engine")
    version = engine.get("version") if isinstance(engine, dict) else None
    row: Row = {"engine": "tensorrt-llm", "surface": "trtllm-bench", "basis": "run"}
    row |= {"generation_tps": value(performance, "system_output_throughput_tok_s")}
    row |= {"running": value(asked, "avg_num_concurrent_requests"), "series": str(version or "")[:80]}
    total = value(performance, "total_latency_ms")
    row["span_s"] = None if total is None else total / 1e3
    stats = node.get("decoding_stats")
    if not isinstance(stats, dict):
        return [row]
    length, rate = _average(stats, "acceptance_length"), _average(stats, "draft_acceptance_rate")
    row |= {"family": "means over requests", "length": length, "said_length": length, "rate": rate, "said_rate": rate}
    said = ("num_draft_tokens", "num_accepted_draft_tokens", "draft_acceptance_rate", "acceptance_length")
    return [row | {"said": {f"average {n}": _average(stats, n) for n in said}}]


def _average(stats: Node, name: str) -> float | None:
    found = stats.get(f"{name}_percentiles")
    return value(found, "average") if isinstance(found, dict) else None


SHAPE = Shape(
    "trtllm-bench", "tensorrt-llm", "trtllm-bench --report_json", "`performance` and `request_info`", rows, deep=False
)
