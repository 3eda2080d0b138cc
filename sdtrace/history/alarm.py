"""An alarm as a value, and its stay: when it opened, when it closed and by what."""

from dataclasses import dataclass
from typing import Literal

from sdtrace.results.advice import Advice
from sdtrace.results.words import Side, VerdictState

#: False discovery rate of each family of tests.
Q = 0.01
#: What a cause of each side makes of a verdict.
VERDICT_OF: dict[Side, VerdictState] = {"wrong": "wrong", "slow": "slow", "metric": "metric-suspect"}
#: What closed an alarm: a night without the fault, a new version or configuration, or its service gone for long.
By = Literal["fault gone", "deploy", "aged out"]


@dataclass(frozen=True)
class Alarm:
    """`since` is the night that it first stood; `log10_e` the evidence, null for causes; `until` and `why` belong to an
    acknowledgement that has not run out, `expired` to one that has. `next`: the advice, its command beside it."""

    id: str
    kind: str
    side: VerdictState
    service: str
    since: str
    headline: str
    advice: str
    next: Advice
    log10_e: float | None = None
    until: str | None = None
    why: str | None = None
    expired: str | None = None


@dataclass(frozen=True)
class Stay:
    """One stay of an alarm. `last`: the last night that it stood in; `closed` and `by` are null while it is open; `known`: the
    acknowledgement that it had, `{"night", "until", "why"}`, if any."""

    id: str
    side: VerdictState
    service: str
    headline: str
    opened: str
    last: str
    closed: str | None = None
    by: By | None = None
    known: dict[str, str | None] | None = None
