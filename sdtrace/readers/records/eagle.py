"""EAGLE model answers: `idxs` are 0-based last rounds, so rounds = idx + 1; a baseline counts no new tokens."""

from sdtrace.readers.records.shape import Node, Rows, Shape, numbers
from sdtrace.schema.counters import Row


def rows(node: Node) -> Rows | None:
    """A record with choices[].idxs; one row a choice."""
    choices = node.get("choices")
    if not isinstance(choices, list) or not any(isinstance(c, dict) and "idxs" in c for c in choices):
        return None
    return [_choice(node, c) for c in choices if isinstance(c, dict)]


def _choice(node: Node, choice: Node) -> Row:
    row: Row = {"engine": "eagle", "surface": "model answer", "basis": "request"}
    row |= {"family": str(node.get("model_id") or ""), "request_id": str(node.get("question_id"))}
    row["again"] = f"{node.get('question_id')} {node.get('model_id')} {choice.get('index')}"
    idxs, new, wall = (numbers(choice, n) for n in ("idxs", "new_tokens", "wall_time"))
    row["busy_ms"] = sum(wall) * 1e3 if wall else None
    if not idxs or not new or len(idxs) != len(new) or any(i < 0 for i in idxs):
        return row | {"bad": "idxs and new_tokens do not fit each other"}
    rounds, tokens = float(sum(i + 1 for i in idxs)), float(sum(new))
    if tokens == 0:  # a baseline: its script counts rounds only, and a round of plain decoding is one token
        return row | {"steps": rounds, "emitted": rounds, "said": {"idxs": idxs, "new_tokens": new}}
    if tokens < rounds:
        return row | {"bad": "fewer new tokens than rounds"}
    return row | {"drafts": rounds, "steps": rounds, "accepted": tokens - rounds, "emitted": tokens}


SHAPE = Shape("eagle", "eagle", "EAGLE model answers", "`choices[].idxs`", rows, deep=False)
