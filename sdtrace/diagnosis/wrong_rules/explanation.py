"""A named wrong rule with how well it fits."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Explanation:
    """`contradictions` of `decided` decisions do not follow the rule; `low` and `high` bound its parameter."""

    cause: str
    label: str
    parameter: float | None
    low: float | None
    high: float | None
    contradictions: int
    decided: int
    advice: str = ""
