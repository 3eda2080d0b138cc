"""The sentence of a verdict: what was found, and what it rests on; words are made of it once, at the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Covered = Literal["judged", "too-little", "not-judged"]
Coverage = dict[str, Covered]


@dataclass(frozen=True)
class Headline:
    """`says`: what was found. `coverage`: what the sentence closes with, where it says what was judged; `only`: what there is of what
    is too little to judge."""

    says: str
    coverage: Mapping[str, Covered] | None = None
    only: str = ""

    @property
    def text(self) -> str:
        """As the document has it."""
        return self.says if self.coverage is None else self.says + in_words(self.coverage, self.only)


def in_words(coverage: Mapping[str, Covered], only: str = "") -> str:
    """`speed and acceptance judged; correctness not checked`. `only`: what there is of what is too little."""
    names = [name for name in ("speed", "acceptance", "correctness") if name in coverage]
    told = [name for name in names if coverage[name] == "judged"]
    little = [name for name in names if coverage[name] == "too-little"]
    rest = [name for name in names if coverage[name] == "not-judged"]
    parts = [
        f"{_listed(told)} judged" if told else "",
        f"too little to judge {_listed(little)}{f' ({only})' if only else ''}" if little else "",
        f"{_listed(rest)} not checked" if rest else "",
    ]
    return "; ".join(part for part in parts if part)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
