"""vLLM 0.29+ responses with --per-request-spec-decode-metrics: the best stock source, everything but probabilities."""

from sdtrace.readers.records.shape import Node, Rows, Shape
from sdtrace.readers.vllm_meta import request_window


def rows(node: Node) -> Rows | None:
    """The object that holds metrics.speculative_decoding, or a choice with speculative_decoding_stats."""
    row = request_window(node)
    return None if row is None else [row]


SHAPE = Shape(
    "vllm-responses",
    "vllm",
    "vLLM responses with per-request speculation metrics",
    "`metrics.speculative_decoding`",
    rows,
)
