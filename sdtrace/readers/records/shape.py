"""What a JSON record of an engine or benchmark looks like: how to know it, and what it says."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sdtrace.readers import counts
from sdtrace.readers.prompt_counts import prompt_counts
from sdtrace.schema.counters import Row
from sdtrace.schema.json_values import Json

Node = dict[str, Any]
Rows = list[Row]

#: Records are found in whatever wraps them, this deep.
DEPTH = 6


@dataclass(frozen=True)
class Shape:
    """`rows(node)` gives windows of a JSON object, [] where it is one but says nothing, None where it is another.

    A row may carry `again` (a later record with the same key takes its place), `bad` (why it is no record) and `note`
    (what is odd about it though it counts).
    """

    name: str
    engine: str
    says: str
    #: what is looked for, in the words of the records
    looks_for: str
    rows: Callable[[Node], Rows | None]
    deep: bool = True
    settle: Callable[[Rows], Rows] | None = None


def found(shape: Shape, value: Any, depth: int = 0, outer: Node | None = None) -> Iterator[Json]:
    """Windows of every object of the shape inside a JSON value; what is found is not searched again."""
    if isinstance(value, dict):
        rows = shape.rows(value)
        if rows is not None:
            for row in rows:
                yield _named(row, outer, value)
            return
        if shape.deep and depth < DEPTH:
            for inner in value.values():
                if isinstance(inner, dict | list):
                    yield from found(shape, inner, depth + 1, _outer(outer, value))
    elif isinstance(value, list) and depth < DEPTH:
        for inner in value:
            if isinstance(inner, dict | list):
                yield from found(shape, inner, depth + 1, outer)


def claims(shape: Shape, value: Any, depth: int = 0) -> bool:
    """Whether any object inside is of the shape."""
    if isinstance(value, dict):
        if shape.rows(value) is not None:
            return True
        inside = list(value.values()) if shape.deep and depth < DEPTH else []
    else:
        inside = value if isinstance(value, list) and depth < DEPTH else []
    return any(claims(shape, inner, depth + 1) for inner in inside if isinstance(inner, dict | list))


_IDS = ("request_id", "rid", "id", "prompt_id", "question_id")
_TIMES = ("sent_at", "at", "timestamp", "created", "tstamp")


def _outer(outer: Node | None, node: Node) -> Node:
    """What an enclosing object says of its records: whose they are, and when."""
    kept = dict(outer or {})
    for names in (_IDS, _TIMES):
        for name in names:
            if name not in kept and isinstance(node.get(name), str | int | float):
                kept[name] = node[name]
    if isinstance(node.get("usage"), dict):
        kept.setdefault("usage", node["usage"])
    return kept


def _named(row: Json, outer: Node | None, node: Node) -> Json:
    known = {**node, **(outer or {})}
    if row.get("request_id") is None:
        name = next((known[n] for n in _IDS if isinstance(known.get(n), str | int)), None)
        row["request_id"] = None if name is None else str(name)[:200]
    if row.get("basis") == "request" and isinstance(row.get("said"), dict | None) and (told := prompt_counts(known)):
        row["said"] = (row.get("said") or {}) | told
    if row.get("at") is None:
        stamps = [known[n] for n in _TIMES if isinstance(known.get(n), int | float)]
        row["at"] = next((float(s) for s in stamps if 1e9 < s < 1e10), None)
    return row


def value(node: Node, name: str) -> float | None:
    """A finite number of the object, None for anything else."""
    return counts.number(node.get(name))


def numbers(node: Node, name: str) -> list[float] | None:
    """A list of finite numbers of the object (a lone number is a list of one), None for anything else."""
    return counts.numbers(node.get(name))
