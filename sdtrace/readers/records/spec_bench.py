"""Spec-Bench model answers: accept_lengths count the bonus, turns are one after another; a re-run replaces a record."""

from sdtrace.readers.counts import LONGEST, above, gathered
from sdtrace.readers.records.shape import Node, Rows, Shape, numbers
from sdtrace.schema.counters import Row


def rows(node: Node) -> Rows | None:
    """A record with choices[].accept_lengths or choices[].decoding_steps; one row a choice."""
    choices = node.get("choices")
    if not isinstance(choices, list) or "question_id" not in node:
        return None
    if not any(isinstance(c, dict) and ("accept_lengths" in c or "decoding_steps" in c) for c in choices):
        return None
    return [_choice(node, c) for c in choices if isinstance(c, dict)]


def _choice(node: Node, choice: Node) -> Row:
    """One answer. A turn that failed left nothing in accept_lengths, so the others still count; none left is a bad record."""
    row: Row = {"engine": "spec-bench", "surface": "model answer", "basis": "request"}
    row |= {"family": str(node.get("model_id") or ""), "request_id": str(node["question_id"])}
    row["again"] = f"{node['question_id']} {node.get('model_id')} {choice.get('index')}"
    turns, lengths = choice.get("turns"), numbers(choice, "accept_lengths")
    new, steps, wall = (numbers(choice, name) for name in ("new_tokens", "decoding_steps", "wall_time"))
    failed = turns.count("ERROR") if isinstance(turns, list) else 0
    if not lengths and failed:
        return row | {"bad": "the model failed on every turn"}
    if lengths is not None and any(v < 1 or v > LONGEST or v != int(v) for v in lengths):
        return row | {"bad": "accept_lengths are no counts from 1 on"}
    row |= {"busy_ms": sum(wall) * 1e3 if wall else None, "emitted": float(sum(new)) if new else None}
    if failed:
        row["note"] = "the model failed on a turn; the other turns of the record are counted"
    if not lengths:
        return row | _without_lengths(steps, new)
    if steps and sum(steps) != len(lengths):
        return row | {"bad": "accept_lengths and decoding_steps do not fit each other"}
    return row | _counts(lengths)


def _counts(lengths: list[float]) -> Row:
    """Steps and accepted tokens; where every step gives one token, `settled` tells whether there was a draft."""
    histogram = gathered([v - 1 for v in lengths]) or []
    row: Row = {"steps": float(len(lengths))}
    if not any(histogram[1:]):
        return row
    row |= {"drafts": float(len(lengths)), "accepted": float(sum(lengths) - len(lengths)), "histogram": histogram}
    return row | {"accepted_by_position": above(histogram)}


def _without_lengths(steps: list[float] | None, new: list[float] | None) -> Row:
    if not steps or not new or sum(steps) <= 0 or sum(new) < sum(steps):
        return {"bad": "no accept_lengths, and no steps and tokens to take their place"}
    made = {"steps": float(sum(steps))}
    return (
        made if sum(new) == sum(steps) else made | {"drafts": made["steps"], "accepted": float(sum(new) - sum(steps))}
    )


def settled(rows: Rows) -> Rows:
    """A record without an accepted token is plain decoding in a baseline's file, and a bad draft in a speculative one."""
    speculative = {row["family"] for row in rows if row.get("accepted")}
    for row in rows:
        if row["family"] in speculative and "drafts" not in row:
            row |= {"drafts": row["steps"], "accepted": 0.0, "histogram": [row["steps"]]}
    return rows


SHAPE = Shape(
    "spec-bench",
    "spec-bench",
    "Spec-Bench model answers",
    "`choices[].accept_lengths`",
    rows,
    deep=False,
    settle=settled,
)
