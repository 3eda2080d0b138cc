"""ModelOpt specdec_bench: keys are lengths with the bonus; its averages are over turns, not over tokens.

Lengths are sizes of streamed chunks, the first one counted: chunks that a proxy joined inflate them.
"""

from collections.abc import Mapping
from itertools import accumulate
from operator import mul
from typing import Any

from sdtrace.readers import counts
from sdtrace.readers.records.shape import Node, Rows, Shape, numbers, value
from sdtrace.schema.counters import Row


def rows(node: Node) -> Rows | None:
    """A run with Request_AL, or a speculation profile with marginal rates."""
    if "marginal_accept_rates" in node or "conditional_accept_rates" in node:
        return [_profile(node)]
    if "Request_AL" not in node:
        return None
    histogram = _steps(node.get("Acceptance_Length_Histogram"))
    row: Row = {"engine": "specdec-bench", "surface": "acceptance_rate", "basis": "run"}
    row |= {"family": "chunk sizes; Average_AL is a mean over turns"}
    if histogram:
        accepted = sum(j * n for j, n in enumerate(histogram))
        row |= {"drafts": sum(histogram), "accepted": accepted, "histogram": histogram}
        row |= {"accepted_by_position": counts.above(histogram), "emitted": accepted + sum(histogram)}
    else:
        row["length"] = value(node, "Average_AL")
    return [row | {"said": {"Average_AL": node.get("Average_AL")}}]


def _profile(node: Node) -> Row:
    """PR 2247: rates by position, marginal and conditional, and no counts."""
    marginal, conditional = numbers(node, "marginal_accept_rates"), numbers(node, "conditional_accept_rates")
    if not marginal and conditional:
        marginal = list(accumulate(conditional, mul))
    row: Row = {"engine": "specdec-bench", "surface": "speculation profile", "basis": "run"}
    row["k"] = len(marginal) if marginal else None
    return row | {"said_positions": marginal, "length": 1 + sum(marginal) if marginal else None}


def _steps(lengths: Any) -> list[float] | None:
    """Histogram of accepted tokens from one of lengths with the bonus."""
    made = counts.histogram(lengths) if isinstance(lengths, Mapping) else None
    return made[1:] or None if made else None


SHAPE = Shape("specdec-bench", "specdec-bench", "ModelOpt specdec_bench results", "`Request_AL`", rows)
