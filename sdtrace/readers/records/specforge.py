"""SpecForge bench_eagle3: accept_length = completion tokens / verifications; 1.0 means no data as well as no speculation."""

from sdtrace.readers.records.shape import Node, Rows, Shape, value


def rows(node: Node) -> Rows | None:
    """One entry of a benchmark: batch_size, steps, topk, num_draft_tokens and metrics."""
    metrics = node.get("metrics")
    if not isinstance(metrics, list) or "num_draft_tokens" not in node:
        return None
    made: Rows = []
    nodes = value(node, "num_draft_tokens")
    for part in metrics:
        if not isinstance(part, dict) or "accept_length" not in part:
            continue
        length = value(part, "accept_length")
        row = {"engine": "specforge", "surface": "bench_eagle3", "basis": "run", "said_length": length}
        row |= {"length": None if length == 1.0 else length, "k": nodes - 1 if nodes else None}
        row["series"] = " ".join(f"{n}={node.get(n)}" for n in ("batch_size", "steps", "topk", "num_draft_tokens"))
        row |= {"generation_tps": value(part, "output_throughput")}
        made.append(row | {"said": {n: node.get(n) for n in ("batch_size", "steps", "topk", "num_draft_tokens")}})
    return made


SHAPE = Shape("specforge", "specforge", "SpecForge benchmark results", "`metrics` and `num_draft_tokens`", rows)
