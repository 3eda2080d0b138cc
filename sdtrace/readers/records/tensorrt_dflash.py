"""TensorRT-LLM DFlash acceptance statistics: a histogram of a rank; num_steps counts batches, not request-steps."""

from sdtrace.readers.records.shape import Node, Rows, Shape, by_position, numbers


def rows(node: Node) -> Rows | None:
    """The object with accepted_draft_hist."""
    histogram = numbers(node, "accepted_draft_hist")
    if histogram is None:
        return None
    row = {
        "engine": "tensorrt-llm",
        "surface": "dflash accept stats",
        "basis": "run",
        "series": f"rank {node.get('rank', '')}".strip(),
        "drafts": sum(histogram),
        "accepted": sum(j * n for j, n in enumerate(histogram)),
        "k": node.get("max_draft_len"),
        "histogram": histogram,
        "accepted_by_position": by_position(histogram),
        "said": {"num_steps (batches)": node.get("num_steps")},
    }
    return [row]


SHAPE = Shape("tensorrt-llm-dflash", "tensorrt-llm", "TensorRT-LLM DFlash acceptance statistics", rows)
