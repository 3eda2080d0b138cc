"""Spec-Bench model answers: accept_lengths count the bonus, turns are one after another; a re-run replaces a record."""

from collections import Counter
from typing import Any

from sdtrace.readers.records.shape import Node, Rows, Shape, by_position, numbers


def rows(node: Node) -> Rows | None:
    """A record with choices[].accept_lengths."""
    choices = node.get("choices")
    if not isinstance(choices, list) or "question_id" not in node:
        return None
    if not any(isinstance(c, dict) and ("accept_lengths" in c or "decoding_steps" in c) for c in choices):
        return None
    return [_choice(node, c) for c in choices if isinstance(c, dict)]


def _choice(node: Node, choice: Node) -> dict[str, Any]:
    row: dict[str, Any] = {"engine": "spec-bench", "surface": "model answer", "basis": "request"}
    row |= {"family": str(node.get("model_id") or ""), "request_id": str(node["question_id"])}
    row["again"] = f"{node['question_id']} {node.get('model_id')} {choice.get('index')}"
    turns = choice.get("turns")
    lengths = numbers(choice, "accept_lengths")
    if (isinstance(turns, list) and "ERROR" in turns) or lengths is None:
        return row | {"bad": "the model failed on a turn" if lengths is not None or turns else "no accept_lengths"}
    if any(v < 1 or v > 4096 for v in lengths):
        return row | {"bad": "accept_lengths below 1"}
    counts = Counter(int(v) - 1 for v in lengths)
    histogram = [float(counts.get(j, 0)) for j in range(max(counts, default=0) + 1)]
    new, wall = numbers(choice, "new_tokens"), numbers(choice, "wall_time")
    steps = numbers(choice, "decoding_steps")
    if not any(histogram[1:]):  # plain decoding: every step gives one token
        row |= {"steps": float(len(lengths)), "emitted": float(sum(lengths))}
        return row | {"busy_ms": sum(wall) * 1e3 if wall else None}
    return row | {
        "drafts": float(len(lengths)),
        "steps": float(sum(steps)) if steps else None,
        "accepted": float(sum(lengths) - len(lengths)),
        "emitted": float(sum(new)) if new else None,
        "histogram": histogram,
        "accepted_by_position": by_position(histogram),
        "busy_ms": sum(wall) * 1e3 if wall else None,
    }


SHAPE = Shape("spec-bench", "spec-bench", "Spec-Bench model answers", rows, deep=False, replaces=True)
