"""llama.cpp `timings` (and mlx-vlm's, and what benchmarks copy from them): counts of a request, no step count.

draft_n and draft_n_accepted are absent where nothing was drafted. The mean length does not follow from one record.
mlx-vlm's counters are of the whole batch: exact at batch 1 only.
"""

from sdtrace.readers.records.shape import Node, Rows, Shape, value


def rows(node: Node) -> Rows | None:
    """The object with predicted_n or draft_n."""
    if not ("predicted_n" in node or ("draft_n" in node and "draft_n_accepted" in node)):
        return None
    drafted, accepted, rounds = value(node, "draft_n"), value(node, "draft_n_accepted"), value(node, "draft_rounds")
    emitted = value(node, "predicted_n")
    mlx = "draft_kind" in node or "draft_rounds" in node
    if drafted is None and emitted is None:
        return []
    names = ("draft_n", "draft_n_accepted", "draft_rounds", "predicted_n")
    row = {
        "engine": "mlx-vlm" if mlx else "llama.cpp",
        "surface": "timings",
        "family": "counters of the batch" if mlx else "request",
        "basis": "request",
        "drafts": rounds,
        "drafted": drafted,
        "accepted": accepted,
        "emitted": emitted if emitted is not None else value(node, "completion_tokens"),
        "busy_ms": value(node, "predicted_ms"),
        "said": {n: node[n] for n in names if n in node},
    }
    return [row]


SHAPE = Shape(
    "llamacpp-timings",
    "llama.cpp",
    "llama.cpp timings of responses, also inside other records",
    "`predicted_n` or `draft_n`",
    rows,
)
