"""`--fail-if`: conditions on figures, in one line.

    tokens_per_step < 1.8          the figure itself (rates as 0.6 or 60% of 1: see below)
    tokens_per_step < -5%          its change against the baseline (nightly, diff): a fall of more than 5%
    rate_of_drafted < 0.5          figures of `acceptance`: also rate_of_tested, excess, expected_rate, ...
    disagree > 0                   figures of `audit`: tested, agree, disagree, undecidable
    step_ms > 30                   figures of `time`
    alarms > 0                     alarms of the night that are not acknowledged

A figure that was not recorded meets no condition, and that is told.
"""

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sdtrace.errors import UsageError
from sdtrace.schema.json_values import Json

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_FORM = re.compile(r"\s*+([a-z_]+)\s*+(<=|>=|<|>)\s*+([+-]?\d+(?:\.\d+)?)\s*+(%?)\s*+")


@dataclass(frozen=True)
class Condition:
    """`name` compared with `bound`; `relative`: the change against the baseline is compared, as a share."""

    text: str
    name: str
    compare: str
    bound: float
    relative: bool


@dataclass(frozen=True)
class Result:
    """Whether a condition is met, by which value and of what; `value` None: not recorded, so not met."""

    condition: Condition
    met: bool
    value: float | None
    of: str

    def sentence(self) -> str:
        """For the terminal."""
        c = self.condition
        what = c.name + (f" ({self.of})" if self.of else "")
        limit = f"{c.bound:+.1%}" if c.relative else f"{c.bound:g}"
        if self.value is None:
            return f"not judged: {what} is not known (fails when {c.compare} {limit})"
        shown = f"{self.value:+.1%}" if c.relative else f"{self.value:.4g}"
        return (
            f"FAILED: {what} is {shown} (limit {limit})" if self.met else f"passed: {what} is {shown} (limit {limit})"
        )


def condition(text: str) -> Condition:
    """Raises UsageError where the text is no condition."""
    found = _FORM.fullmatch(text)
    if not found:
        raise UsageError(
            f"--fail-if {text!r} is not understood",
            "write NAME < NUMBER, or a change against the baseline: 'tokens_per_step < -5%'",
        )
    name, compare, bound, percent = found.groups()
    return Condition(" ".join(text.split()), name, compare, float(bound) / (100 if percent else 1), bool(percent))


def judge(conditions: list[Condition], document: Json) -> list[Result]:
    """Every condition against a document. Raises UsageError for a figure that no document has."""
    return [result for c in conditions for result in _judge(c, document)]


def _judge(c: Condition, document: Json) -> Iterator[Result]:
    told = list(_changes(c.name, document) if c.relative else _values(c.name, document))
    if not told:
        raise UsageError(
            f"--fail-if {c.text}: no figure of that name" + (" has a baseline here" if c.relative else ""),
            "nightly and diff have baselines" if c.relative else "the figures of acceptance, audit and time, or alarms",
        )
    for of, value in told:
        yield Result(c, value is not None and _OPERATORS[c.compare](value, c.bound), value, of)


def _values(name: str, document: Json) -> Iterator[tuple[str, float | None]]:
    history = document.get("history")
    if name == "alarms":
        yield "", None if history is None else float(sum(a["until"] is None for a in history["alarms"]))
        return
    for part in ("acceptance", "audit", "time"):
        section = document.get(part)
        if section is not None and name in section and (section[name] is None or _number(section[name])):
            yield "", section[name]
            return
    if name in _NAMES:
        yield "", None


def _changes(name: str, document: Json) -> Iterator[tuple[str, float | None]]:
    for service in (document.get("history") or {}).get("services", []):
        yield from ((service["service"], m["change"]) for m in service["metrics"] if m["name"] == name)
    diff = document.get("diff") or {}
    yield from (("against the base", m["change"]) for m in diff.get("metrics", []) if m["name"] == name)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


#: Figures that a document may lack because a whole section is absent.
_NAMES = frozenset(
    (
        *("steps", "drafted", "tested", "accepted", "appended", "agree", "disagree", "undecidable"),
        *(
            "tokens_per_step",
            "expected_tokens_per_step",
            "rate_of_drafted",
            "rate_of_tested",
            "expected_rate",
            "excess",
        ),
        *("step_ms", "draft_ms", "verify_ms", "sample_ms", "baseline_ms", "speedup"),
    )
)
