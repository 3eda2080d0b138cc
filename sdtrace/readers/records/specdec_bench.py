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
    """speculation_profile.json (schema 1.0, PR 2247): rates by position, marginal and conditional, the histogram of emitted
    lengths, and in one that sdtrace wrote the drafted tokens. A stub holds rates of 0 that nobody measured."""
    row: Row = {"engine": "specdec-bench", "surface": "speculation profile", "basis": "run"}
    if node.get("measured") is False:
        return row | {"bad": "a speculation profile that was not measured: its rates are placeholders"}
    marginal, conditional = _known(node, "marginal_accept_rates"), _known(node, "conditional_accept_rates")
    if not marginal and conditional:
        marginal = list(accumulate(conditional, mul))
    row["k"] = value(node, "num_speculative_tokens") or (len(marginal) if marginal else None)
    histogram = _steps(node.get("acceptance_length_histogram"))
    if not histogram:
        mean = 1 + sum(marginal) if marginal else value(node, "mean_accept_length")
        return row | {"said_positions": marginal, "length": mean}
    accepted, told = sum(j * n for j, n in enumerate(histogram)), node.get("counts")
    row |= {"drafts": sum(histogram), "accepted": accepted, "histogram": histogram}
    row |= {"emitted": accepted + sum(histogram), "drafted": value(told, "drafted") if isinstance(told, dict) else None}
    if marginal:  # a rule on whole blocks has lengths, and no rates by position
        reached = counts.above(histogram)
        row["accepted_by_position"] = reached + [0.0] * (len(marginal) - len(reached))
    return row


def _known(node: Node, name: str) -> list[float] | None:
    """A list of rates up to the first one that is not known."""
    listed = node.get(name)
    return (
        numbers({name: listed[: listed.index(None)]}, name)
        if isinstance(listed, list) and None in listed
        else numbers(node, name)
    )


def _steps(lengths: Any) -> list[float] | None:
    """Histogram of accepted tokens from one of lengths with the bonus."""
    made = counts.histogram(lengths) if isinstance(lengths, Mapping) else None
    return made[1:] or None if made else None


SHAPE = Shape("specdec-bench", "specdec-bench", "ModelOpt specdec_bench results", "`Request_AL`", rows)
