"""TensorRT-LLM DFlash acceptance statistics: a histogram of a rank; num_steps counts batches, not request-steps."""

from sdtrace.readers import counts
from sdtrace.readers.records.shape import Node, Rows, Shape, value


def rows(node: Node) -> Rows | None:
    """The object with accepted_draft_hist."""
    histogram = counts.histogram(node.get("accepted_draft_hist"))
    if histogram is None:
        return None
    row = {
        "engine": "tensorrt-llm",
        "surface": "dflash accept stats",
        "basis": "run",
        "series": f"rank {node.get('rank', '')}".strip(),
        "drafts": sum(histogram),
        "accepted": sum(j * n for j, n in enumerate(histogram)),
        "k": value(node, "max_draft_len"),
        "histogram": histogram,
        "accepted_by_position": counts.above(histogram),
        "said": {"num_steps (batches)": node.get("num_steps")},
    }
    return [row]


SHAPE = Shape(
    "tensorrt-llm-dflash", "tensorrt-llm", "TensorRT-LLM DFlash acceptance statistics", "`accepted_draft_hist`", rows
)
