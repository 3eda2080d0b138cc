"""MLC-LLM engine metrics: drafted and accepted tokens by depth of the draft, from 1; totals since the engine began."""

from typing import Any

from sdtrace.readers.counts import number
from sdtrace.readers.records.shape import Node, Rows, Shape, value
from sdtrace.schema.counters import Row


def rows(node: Node) -> Rows | None:
    """The object that holds spec_decode with draft_count and accept_count."""
    spec = node.get("spec_decode")
    if not isinstance(spec, dict) or "draft_count" not in spec or "accept_count" not in spec:
        return None
    drafted, accepted = _depths(spec["draft_count"]), _depths(spec["accept_count"])
    row: Row = {"engine": "mlc-llm", "surface": "engine metrics", "basis": "run", "said": spec}
    busy = value(node, "engine_decode_time_sum")
    row |= {"busy_ms": None if busy is None else busy * 1e3, "emitted": value(node, "completion_tokens_sum")}
    if not drafted or not accepted:
        return [row]
    row |= {"drafts": drafted[0], "drafted": sum(drafted), "accepted": sum(accepted), "k": len(drafted)}
    return [row | {"accepted_by_position": accepted, "drafted_by_position": drafted}]


def _depths(value: Any) -> list[float] | None:
    """Counts of depth 1, 2, ... of an object keyed by depth, or a list; None where one is no count."""
    if isinstance(value, dict):
        if not all(str(n).isascii() and str(n).isdecimal() and len(str(n)) < 5 for n in value):
            return None
        value = [value.get(str(n)) for n in sorted(int(n) for n in value if int(n) > 0)]
    if not isinstance(value, list) or not 0 < len(value) <= 4096:
        return None
    known = [v for v in value if number(v) is not None and v >= 0]
    return [float(v) for v in known] if len(known) == len(value) else None


SHAPE = Shape("mlc-llm", "mlc-llm", "MLC-LLM engine metrics", "`spec_decode.draft_count`", rows)
