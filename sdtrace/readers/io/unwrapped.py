"""A text that came out of its envelopes."""

from dataclasses import dataclass

#: Lines of a text that are taken out of their envelopes: each of them takes some hundred bytes meanwhile.
LINES = 1 << 20


@dataclass(frozen=True)
class Unwrapped:
    """The text inside envelopes, the line of the file that each of its lines began on, the names of what was taken off from
    outside in, how many lines of the file were envelope alone, and how many held once more what stood before."""

    text: str
    origin: list[int]
    names: tuple[str, ...] = ()
    around: int = 0
    again: int = 0
    lines: int = 0  #: lines of the file
