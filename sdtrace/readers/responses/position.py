"""One emitted token with what was listed beside it, and the columns that many of them make."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sdtrace.readers.responses.parameters import number, whole
from sdtrace.schema.responses import of_text

#: Engines write a masked token's -inf as such a number.
_MASKED = -9000.0


@dataclass(frozen=True)
class Position:
    """`token` and the listed ones as numbers of RESPONSE; log probabilities in nats, None where there is none."""

    token: int
    logprob: float | None
    top: list[int]
    top_logprobs: list[float]

    @staticmethod
    def of(token: int, logprob: float | None, entries: Sequence[tuple[int, float | None]]) -> "Position":
        """From pairs of token and log probability; a pair without a number is left out."""
        kept = [(one, value) for one, value in entries if value is not None]
        return Position(token, logprob, [one for one, _ in kept], [value for _, value in kept])


def joined(positions: Sequence[Position], listing: str) -> dict[str, Any]:
    """The list columns of RESPONSE."""
    return {
        "token_ids": [one.token for one in positions],
        "logprobs": [one.logprob for one in positions],
        "top_ids": [one.top for one in positions],
        "top_logprobs": [one.top_logprobs for one in positions],
        "listing": listing,
    }


def key(token_id: Any, text: Any) -> int:
    """The id; without one what the text says of it (vLLM's `token_id:123`), else the number that stands for the text."""
    if (known := whole(token_id)) is not None and known >= 0:
        return known
    said = text if isinstance(text, str) else ""
    begin, _, rest = said.partition("token_id:")
    return int(rest) if not begin and rest.isdigit() and len(rest) < 10 else of_text(said)


def floored(value: Any) -> float | None:
    """A log probability; what engines write for a masked token is -inf."""
    found = number(value)
    if isinstance(value, float) and value == -math.inf:
        return -math.inf
    return None if found is None else -math.inf if found <= _MASKED else found


def logarithm(value: Any) -> float | None:
    """The log of a probability."""
    found = number(value)
    return None if found is None or found < 0 else math.log(found) if found else -math.inf
