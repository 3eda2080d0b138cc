"""Results of `vllm bench serve --save-result` and of sglang.bench_serving: one JSON object a run.

vLLM takes its counts as differences of the server's counters over the run. SGLang writes the server's mean length alone.
A run without speculation has its speed only: it is the base of a comparison.
"""

from sdtrace.readers.records.shape import Node, Rows, Shape, numbers, value
from sdtrace.schema.counters import Row

_SPEC = "spec_decode_"


def rows(node: Node) -> Rows | None:
    """The object with output_throughput beside duration and completed."""
    if not {"output_throughput", "duration", "completed"} <= node.keys():
        return None
    length = value(node, "accept_length")
    sglang = length is not None or str(node.get("backend", "")).startswith("sglang")
    row: Row = {"engine": "sglang" if sglang else "vllm", "surface": "bench serve", "basis": "run"}
    row |= {"emitted": value(node, "total_output_tokens"), "generation_tps": value(node, "output_throughput")}
    row |= {"span_s": value(node, "duration"), "running": value(node, "concurrency")}
    row["said"] = {n: v for n, v in node.items() if n.startswith(_SPEC) or n in ("mean_tpot_ms", "accept_length")}
    if sglang:
        return [row | {"length": length, "said_length": length}]
    drafts, positions = value(node, f"{_SPEC}num_drafts"), numbers(node, f"{_SPEC}per_position_acceptance_rates")
    percent = value(node, f"{_SPEC}acceptance_rate")
    row |= {"drafts": drafts, "drafted": value(node, f"{_SPEC}draft_tokens")}
    row |= {"accepted": value(node, f"{_SPEC}accepted_tokens"), "said_positions": positions}
    row |= {"said_length": value(node, f"{_SPEC}acceptance_length"), "length": value(node, f"{_SPEC}acceptance_length")}
    row["said_rate"] = None if percent is None else percent / 100
    if positions:
        row["k"] = len(positions)
        row["accepted_by_position"] = [p * drafts for p in positions] if drafts else None
    return [row]


SHAPE = Shape(
    "bench-serving",
    "vllm",
    "results of vllm bench serve and sglang.bench_serving",
    "`output_throughput`, `duration` and `completed`",
    rows,
)
