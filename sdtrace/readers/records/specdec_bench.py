"""ModelOpt specdec_bench: keys are lengths with the bonus; its averages are over turns, not over tokens."""

from collections.abc import Mapping
from typing import Any

from sdtrace.readers.records.shape import Node, Rows, Shape, by_position, value


def rows(node: Node) -> Rows | None:
    """A run with Acceptance_Length_Histogram or Request_AL."""
    if "Request_AL" not in node:
        return None
    histogram = _steps(node.get("Acceptance_Length_Histogram"))
    row: dict[str, Any] = {"engine": "specdec-bench", "surface": "acceptance_rate", "basis": "run"}
    row |= {"said_length": value(node, "Average_AL"), "family": "mean over turns"}
    if histogram:
        accepted = sum(j * n for j, n in enumerate(histogram))
        row |= {"drafts": sum(histogram), "accepted": accepted, "histogram": histogram}
        row |= {"accepted_by_position": by_position(histogram), "emitted": accepted + sum(histogram)}
    return [row | {"said": {"Average_AL": node.get("Average_AL")}}]


def _steps(lengths: Any) -> list[float] | None:
    """Histogram of accepted tokens from one of lengths with the bonus."""
    if not isinstance(lengths, Mapping) or not lengths or not all(str(k).isdigit() for k in lengths):
        return None
    top = max(int(k) for k in lengths)
    return [float(lengths.get(str(j + 1), 0)) for j in range(top)] if 0 < top <= 4096 else None


SHAPE = Shape("specdec-bench", "specdec-bench", "ModelOpt specdec_bench results", rows)
