"""SGLang bench_speculative: step_time is a 20th percentile and speed is modelled from it, not measured."""

from sdtrace.readers.records.shape import Node, Rows, Shape, value


def rows(node: Node) -> Rows | None:
    """A line with acc_length and step_time; steps 0 is the baseline."""
    if not {"acc_length", "step_time", "num_draft_tokens"} <= node.keys():
        return None
    row: Node = {
        "engine": "sglang",
        "surface": "bench_speculative",
        "basis": "run",
        "emitted": value(node, "completion_tokens"),
    }
    row["said"] = {n: node.get(n) for n in ("batch_size", "steps", "topk", "num_draft_tokens", "step_time", "speed")}
    row["series"] = " ".join(f"{n}={node.get(n)}" for n in ("batch_size", "steps", "topk", "num_draft_tokens"))
    if not node.get("steps"):
        return [row]
    length, k = value(node, "acc_length"), value(node, "num_draft_tokens")
    return [row | {"length": length, "said_length": length, "k": int(k) - 1 if k else None}]


SHAPE = Shape("sglang-bench", "sglang", "SGLang bench_speculative output", "`acc_length` and `step_time`", rows)
