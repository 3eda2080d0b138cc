"""Tallies added up in a tree whose shape depends on their order alone, so that sums of floats are the same to the last
bit whoever adds them, and whenever each one arrives: one process, threads, or many machines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from sdtrace.tally import Tally, merge

#: Neighbours that are added up together.
GATHER = 8

T = TypeVar("T")


class Gathered(Generic[T]):
    """Tallies (or whatever stands for them) by number, from 0; later ones wait for earlier ones. `add` merges neighbours."""

    def __init__(self, add: Callable[[Sequence[T]], T]) -> None:
        self._add = add
        self._next = 0
        self._early: dict[int, Sequence[T]] = {}
        self._levels: list[list[T]] = []

    def put(self, number: int, tallies: Sequence[T]) -> None:
        """What belongs at `number`; each number once, none left out."""
        self._early[number] = tallies
        while self._next in self._early:
            for tally in self._early.pop(self._next):
                self._push(0, tally)
            self._next += 1

    def _push(self, level: int, tally: T) -> None:
        if level == len(self._levels):
            self._levels.append([])
        mine = self._levels[level]
        mine.append(tally)
        if len(mine) == GATHER:
            self._levels[level] = []
            self._push(level + 1, self._add(mine))

    def total(self) -> T:
        """All of them as one."""
        return self._add([tally for level in reversed(self._levels) for tally in level])


def in_process() -> Gathered[Tally]:
    """Tallies of this process."""
    return Gathered(merge)


class Place(NamedTuple):
    """Where steps stand: which input, which of its batches, and the path that it names."""

    source: int
    batch: int
    path: str


@dataclass
class Tallied:
    """What of one input was added up: how many batches it has had, how many of them are in."""

    tallies: Gathered[Tally] = field(default_factory=in_process)
    batches: int = 0
    gathered: int = 0
    read: bool = False
