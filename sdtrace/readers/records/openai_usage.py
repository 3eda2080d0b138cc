"""OpenAI usage fields accepted_prediction_tokens and rejected_prediction_tokens, as several servers fill them.

Many routers write 0 in both without counting: that is no data.
"""

from sdtrace.readers.records.shape import Node, Rows, Shape, value
from sdtrace.schema.counters import Row

_NAMES = ("accepted_prediction_tokens", "rejected_prediction_tokens")


def rows(node: Node) -> Rows | None:
    """The response whose usage has the two fields."""
    usage = node.get("usage")
    details = usage.get("completion_tokens_details") if isinstance(usage, dict) else None
    if not isinstance(usage, dict) or not isinstance(details, dict) or not any(name in details for name in _NAMES):
        return None
    accepted, rejected = (value(details, name) for name in _NAMES)
    row: Row = {"engine": "openai-usage", "surface": "usage", "basis": "request"}
    row |= {"emitted": value(usage, "completion_tokens"), "said": {n: details.get(n) for n in _NAMES}}
    if not accepted and not rejected:
        return [row | {"family": "0 in both fields: not counted"}]
    if accepted is None or rejected is None:
        return [row | {"accepted": accepted}]
    return [row | {"drafted": accepted + rejected, "accepted": accepted}]


SHAPE = Shape(
    "openai-usage", "openai-usage", "OpenAI usage with prediction tokens", "`accepted_prediction_tokens`", rows
)
