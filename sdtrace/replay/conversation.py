"""A request as a replay runs it: its prompt, and its steps in order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sdtrace.schema.json_values import Json
from sdtrace.schema.run import Run


@dataclass(frozen=True)
class Step:
    """One verification. `begin` is the number of tokens before it: prompt and everything appended so far."""

    row: Json
    begin: int
    draft: list[int]
    output: list[int]
    n_a: int

    @property
    def rejected(self) -> bool:
        """Whether a drafted token was rejected."""
        return self.n_a < len(self.draft)


@dataclass(frozen=True)
class Conversation:
    """A request that can be run again: `tokens` is the prompt and every appended token."""

    run: Run
    request: Mapping[str, Any]
    prompt: list[int]
    steps: list[Step]
    tokens: list[int]

    @property
    def key(self) -> tuple[str, str]:
        """run_id and request_id."""
        return self.request["run_id"], self.request["request_id"]
