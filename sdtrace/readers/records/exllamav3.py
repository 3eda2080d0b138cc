"""ExLlamaV3's result of a finished job: accepted and rejected draft tokens, new tokens and their time."""

from sdtrace.readers.records.shape import Node, Rows, Shape, value
from sdtrace.schema.counters import Row


def rows(node: Node) -> Rows | None:
    """The object with accepted_draft_tokens beside rejected_draft_tokens."""
    accepted, rejected = value(node, "accepted_draft_tokens"), value(node, "rejected_draft_tokens")
    if accepted is None or rejected is None:
        return None
    seconds = value(node, "time_generate")
    row: Row = {"engine": "exllamav3", "surface": "job result", "basis": "request"}
    row |= {"drafted": accepted + rejected, "accepted": accepted, "emitted": value(node, "new_tokens")}
    row["busy_ms"] = None if seconds is None else seconds * 1e3
    return [row | {"said": {"accepted_draft_tokens": accepted, "rejected_draft_tokens": rejected}}]


SHAPE = Shape(
    "exllamav3", "exllamav3", "ExLlamaV3 job results", "`accepted_draft_tokens` and `rejected_draft_tokens`", rows
)
