"""EAGLE model answers: `idxs` are 0-based last rounds, so rounds = idx + 1; a baseline counts no new tokens."""

from typing import Any

from sdtrace.readers.records.shape import Node, Rows, Shape, numbers


def rows(node: Node) -> Rows | None:
    """A record with choices[].idxs."""
    choices = node.get("choices")
    if not isinstance(choices, list) or not any(isinstance(c, dict) and "idxs" in c for c in choices):
        return None
    return [_choice(node, c) for c in choices if isinstance(c, dict)]


def _choice(node: Node, choice: Node) -> dict[str, Any]:
    row: dict[str, Any] = {"engine": "eagle", "surface": "model answer", "basis": "request"}
    row |= {"family": str(node.get("model_id") or ""), "request_id": str(node.get("question_id"))}
    row["again"] = f"{node.get('question_id')} {node.get('model_id')} {choice.get('index')}"
    idxs, new, wall = (numbers(choice, n) for n in ("idxs", "new_tokens", "wall_time"))
    busy = sum(wall) * 1e3 if wall else None
    if idxs is None or new is None or len(idxs) != len(new):
        return row | {"bad": "idxs and new_tokens do not fit each other"}
    rounds, tokens = float(sum(i + 1 for i in idxs)), float(sum(new))
    if tokens == 0:  # a baseline: the script did not count
        return row | {"steps": rounds, "busy_ms": busy}
    return row | {"drafts": rounds, "accepted": tokens - rounds, "emitted": tokens, "busy_ms": busy}


SHAPE = Shape("eagle", "eagle", "EAGLE model answers", rows, deep=False, replaces=True)
