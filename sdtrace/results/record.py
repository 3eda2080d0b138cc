"""What a record itself is, and what follows for everything that is judged by it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sdtrace.results.cause import Cause


@dataclass(frozen=True)
class Record:
    """The section `record` of the document, with what the trial found.

    `keys`: unique, repeated (the same step twice) or conflicting (two different steps under one key). `basis`: whether p and q
    are those that were compared is declared, inferred or unknown. `seeds`: known, unknown, or shared (requests draw the
    same). `greedy`: whether each request was sampled is known, inferred or unknown. `noise`: how far a recorded p is from the
    compared one, relative to itself. `not_judged`: steps by the reason for which no law judges them. `distrusted`: runs
    that should have been judged again and could not be. `joined`: requests that begin in one input and finish in another, by pair.
    `copies`: the repeated steps are letter by letter those that took their keys.
    """

    keys: str = "unique"
    basis: str | None = None
    seeds: str | None = None
    greedy: str | None = None
    losses_depend_on_outcome: bool = False
    noise: float | None = None
    causes: tuple[Cause, ...] = ()
    notes: tuple[str, ...] = ()
    not_judged: Mapping[str, int] = field(default_factory=dict)
    distrusted: frozenset[str] = frozenset()
    joined: tuple[Mapping[str, Any], ...] = ()
    copies: bool = False


def worst(one: str | None, other: str, order: Sequence[str]) -> str:
    """The later one in `order`, best first; the other where one is not known."""
    return other if one is None else max(one, other, key=order.index)
