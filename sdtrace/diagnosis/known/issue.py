"""A known issue as data: where it was reported, what an input that has it shows, and what helps."""

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

Facts = Mapping[str, Any]
"""What an input shows: `engine`, `version`, `method` (texts or None), `k`, `rate`, `length`, `first`, `second` (numbers or None;
shares of drafting steps that accept the first and the second position), `cause`, `check`, `said` (sets of names)."""

_COMPARED = re.compile(r"([a-z]{1,20})(<=|>=)([\d.]{1,12})")


@dataclass(frozen=True)
class Known:
    """`link` is a path on GitHub. `signature`: conditions that must all hold, each `name:value,value` (one of them is there) or
    `name<=number`, `name>=number`. `versions`, `method`: where it was seen, None where the report does not bind it to one;
    they rule a match out where the input tells another. `sample`: facts of the report.
    """

    link: str
    engine: str
    says: str
    signature: tuple[str, ...]
    workaround: str
    sample: Mapping[str, Any] = field(default_factory=dict)
    versions: str | None = None
    method: str | None = None
    flags: str | None = None
    fixed_in: str | None = None

    @property
    def name(self) -> str:
        """As people cite it: vllm#50170."""
        _, repository, _, number = self.link.split("/")
        return f"{repository}#{number}"

    @property
    def url(self) -> str:
        return f"https://github.com/{self.link}"


def holds(condition: str, facts: Facts) -> bool:
    """Whether a condition of a signature holds; what is not known does not."""
    if compared := _COMPARED.fullmatch(condition):
        name, sign, bound = compared.groups()
        value = facts.get(name)
        return isinstance(value, int | float) and (value <= float(bound) if sign == "<=" else value >= float(bound))
    name, _, values = condition.partition(":")
    there = facts.get(name) or ()
    names: Set[str] = {there} if isinstance(there, str) else set(there)
    return bool(names & set(values.split(",")))


def matches(issue: Known, facts: Facts) -> bool:
    """Whether an input has the signature of an issue: engine, version and method do not speak against it, all conditions hold."""
    if issue.engine not in ("any", facts.get("engine")):
        return False
    if issue.versions is not None and not _within(facts.get("version"), issue.versions):
        return False
    method = facts.get("method")
    if (
        issue.method is not None
        and method is not None
        and not any(w in str(method).lower() for w in issue.method.split(","))
    ):
        return False
    return all(holds(condition, facts) for condition in issue.signature)


def _within(version: Any, versions: str) -> bool:
    """Whether a version is in a range like `>=0.10,<0.12`; one that is not known is in every range."""
    if not isinstance(version, str):
        return True
    mine = _numbers(version)
    for part in versions.split(","):
        other = _numbers(part)
        same = mine[: len(other)]
        inside = {"<": same < other, ">": same > other, "": same == other}[part.strip("=.0123456789")]
        if not inside and not ("=" in part and same == other):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", version)[:3])
