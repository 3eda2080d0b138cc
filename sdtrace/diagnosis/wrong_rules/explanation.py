"""A named wrong rule with how well it fits."""

from collections.abc import Mapping
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
    where: Mapping[str, str] | None = None  #: the only part of the traffic that it holds in
    share: float | None = None  #: of the tested positions
