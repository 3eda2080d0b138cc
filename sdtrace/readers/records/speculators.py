"""get_acceptance_rate.py of speculators: vLLM's counters over a run, as one object; its mean counts the bonus."""

from sdtrace.readers.records.shape import Node, Rows, Shape, numbers, value
from sdtrace.schema.counters import Row


def rows(node: Node) -> Rows | None:
    """The object with mean_accepted_tokens and per_position_acceptance."""
    if not {"mean_accepted_tokens", "per_position_acceptance", "num_drafts"} <= node.keys():
        return None
    positions, drafts = numbers(node, "per_position_acceptance"), value(node, "num_drafts")
    length = value(node, "mean_accepted_tokens")
    row: Row = {"engine": "vllm", "surface": "speculators report", "basis": "run", "drafts": drafts}
    row |= {"drafted": value(node, "num_draft_tokens"), "accepted": value(node, "num_accepted_tokens")}
    row |= {"said_length": length, "length": length, "said_rate": value(node, "acceptance_rate")}
    if positions:
        row |= {"said_positions": positions, "k": len(positions)}
        row["accepted_by_position"] = [p * drafts for p in positions] if drafts else None
    return [row | {"said": {n: node[n] for n in ("acceptance_rate", "mean_accepted_tokens")}}]


SHAPE = Shape(
    "speculators",
    "vllm",
    "acceptance report of speculators",
    "`mean_accepted_tokens` and `per_position_acceptance`",
    rows,
)
