"""A cause as a value: its side, certainty and words, and how one is made of the checks that fired."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sdtrace.results.advice import Advice
from sdtrace.results.cause_words import PAGES, WORDS
from sdtrace.results.check import Outcome
from sdtrace.results.draft_length import OtherLength
from sdtrace.results.refutations import ANNOUNCED, refutation
from sdtrace.results.slow_words import BY_CURVE
from sdtrace.results.words import CERTAINTIES, SIDES, Certainty, Side

Outcomes = Mapping[str, Outcome]


@dataclass(frozen=True)
class Cause:
    """A row of `causes` in the document, with whom it blames.

    `says` is its sentence; `length` another draft length, where its advice is one; `beside`: what stages say of it besides. The headline
    is made of the three, last and once. `command` is part of the advice.
    """

    cause: str
    side: Side
    certainty: Certainty
    checks: tuple[str, ...]
    says: str
    evidence: tuple[dict[str, Any], ...]
    advice: str
    blame: str
    weight: int = 0
    effect: str | None = None
    label: str = ""  #: its own words, as `make` begins the sentence
    found: str = ""  #: what the first of its checks says, which the headline has behind the cause's own words
    length: OtherLength | None = None
    beside: tuple[str, ...] = ()
    command: str | None = None

    @property
    def headline(self) -> str:
        """The cause in one line."""
        return "; ".join([self.says, *([] if self.length is None else [self.length.in_words()]), *self.beside])

    @property
    def instruction(self) -> Advice:
        """The advice with the command that is part of it."""
        return Advice(self.advice, self.command)

    @property
    def next(self) -> Advice:
        """What to do, with the command that shows more: the curve of draft lengths, else the first witness."""
        path = next((str(row["path"]) for row in self.evidence if row.get("path")), None)
        by_curve = self.cause in BY_CURVE and self.checks != ANNOUNCED
        if path is not None and by_curve:  # the answer is there, and not in a step
            return Advice(self.advice, shlex.join(["sdtrace", "tune", path]))
        return Advice(self.advice, first_command(self.evidence) or PAGES.get(self.cause))

    def row(self, shown: Callable[[dict[str, Any]], dict[str, Any]] = dict) -> dict[str, Any]:
        """The row of `causes` in the document; `shown` says what of a piece of evidence may be seen."""
        return {
            "cause": self.cause,
            "side": self.side,
            "certainty": self.certainty,
            "checks": list(self.checks),
            "headline": self.headline,
            "evidence": [shown(row) for row in self.evidence],
            "advice": self.instruction.in_line(),
            "blame": self.blame,
            "effect": self.effect,
            "refuted_by": refutation(self.cause, self.side, self.evidence, self.checks).in_line(": "),
            "next": self.next.row(),
        }


def fired(outcomes: Outcomes, code: str) -> bool:
    """Whether the check of that code fired."""
    return code in outcomes and outcomes[code].state == "fired"


def make(cause: str, certainty: Certainty, codes: Sequence[str], outcomes: Outcomes, label: str | None = None) -> Cause:
    """A cause from the checks that showed it; evidence and weight are theirs, words are the table's."""
    words = WORDS[cause]
    live = [code for code in codes if fired(outcomes, code)]
    evidence = tuple(_shown(w) for code in live for w in outcomes[code].witnesses)[:8]
    found = outcomes[live[0]].headline if live else ""
    label = label or words.says
    headline = f"{label}: {found}" if live else label
    weight = max((outcomes[code].faults for code in live), default=0)
    made = Cause(cause, words.side, certainty, tuple(live), headline, evidence, words.advice, words.blame, weight)
    return replace(made, label=label, found=found, command=first_command(evidence))


def with_evidence(cause: Cause, more: Sequence[Mapping[str, Any]]) -> Cause:
    """The cause with places to look at first, each with the command that shows it."""
    evidence = (*(_shown(row) for row in more), *cause.evidence)
    return replace(cause, evidence=evidence, advice=WORDS[cause.cause].advice, command=first_command(evidence))


def _shown(witness: Mapping[str, Any]) -> dict[str, Any]:
    row = {k: v for k, v in witness.items() if v is not None}
    p, q = row.get("p"), row.get("q")
    if isinstance(p, float) and isinstance(q, float) and q > 0:
        row["ratio"] = p / q
    if row.get("request_id") is not None and row.get("path") and "surface" not in row:
        row["command"] = command(row)
    return row


def command(row: Mapping[str, Any]) -> str:
    """The command that shows a witness, quoted for a shell."""
    words = ["sdtrace", "explain", str(row["path"]), "--request", str(row["request_id"])]
    if row.get("step") is not None:
        words += ["--step", str(row["step"])]
    return shlex.join(words)


def first_command(evidence: Sequence[Mapping[str, Any]]) -> str | None:
    """The command of the first witness that has one."""
    return next((str(row["command"]) for row in evidence if row.get("command")), None)


def joined(rows: Sequence[Cause], more: Sequence[Cause]) -> list[Cause]:
    """Both, strongest first; a cause that `rows` has already is not named again."""
    named = {row.cause for row in rows}
    return ranked([*rows, *(row for row in more if row.cause not in named)])


#: The check of what a run declares.
DECLARED = ("SD191",)


def ranked(rows: Sequence[Cause]) -> list[Cause]:
    """The strongest first; what the run itself declares behind what it does not: that is no news to whoever declared it."""
    return sorted(rows, key=lambda c: (CERTAINTIES.index(c.certainty), SIDES.index(c.side), c.checks == DECLARED))
