"""llama.cpp /slots: the state of each slot; it tells that speculation is configured, and counts nothing."""

from sdtrace.readers.records.shape import Node, Rows, Shape


def rows(node: Node) -> Rows | None:
    """A slot: no figure of acceptance is in it."""
    return [] if "n_ctx" in node and "is_processing" in node and "speculative" in node else None


SHAPE = Shape("llamacpp-slots", "llama.cpp", "llama.cpp /slots", rows)
