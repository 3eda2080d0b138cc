"""A request as a recorder follows it."""

from dataclasses import dataclass
from typing import Any


@dataclass
class Known:
    """A request as the recorder follows it: what it asked for, how much of it was generated, whether it has ended."""

    columns: dict[str, Any]
    prompt_len: int
    max_len: int
    stops: frozenset[int]
    step: int = 0
    output_len: int = 0
    reason: str | None = None

    def cut(self, tokens: list[int]) -> list[int]:
        """What the scheduler keeps of these tokens; remembers why it stopped, if it did."""
        for i, token in enumerate(tokens):
            self.output_len += 1
            if token in self.stops:
                self.reason = "stop"
            elif self.output_len >= self.max_len:
                self.reason = "length"
            if self.reason is not None:
                return tokens[: i + 1]
        return tokens
