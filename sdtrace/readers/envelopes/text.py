"""A text on its way out of its envelopes: numbered lines, and how many lines of the file were no part of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import orjson

from sdtrace.schema.json_values import Json

#: Lines with the number of the line of the file that each began on.
Lines = list[tuple[int, str]]


@dataclass(frozen=True)
class Bare:
    """What an envelope held. `around` lines of the file belonged to the envelope alone, `again` held what was there before."""

    lines: Lines
    around: int = 0
    again: int = 0


@dataclass(frozen=True)
class Envelope:
    """`off` gives what is inside, or None where the envelope is not there; `hint` looks at the text as a whole first."""

    name: str
    hint: Callable[[str], bool]
    off: Callable[[Lines], Bare | None]


def full(lines: Lines) -> Lines:
    """The lines that are neither blank nor a remark in front of a sample."""
    return [(n, text) for n, text in lines if text.strip() and not text.startswith("# ")]


def share(lines: Iterable[tuple[int, str]], holds: Callable[[str], object]) -> float:
    """Share of the lines for which something holds; 0 of no line."""
    told = [bool(holds(text)) for _, text in lines]
    return sum(told) / len(told) if told else 0.0


def record_of(text: str) -> Json | None:
    """The JSON object that a text is; None where it is none."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def begins(*signs: str) -> Callable[[str], bool]:
    """Whether a text begins with one of these, behind blanks and remarks."""

    def hint(text: str) -> bool:
        inside = text.lstrip("\ufeff \r\n\t")
        while inside.startswith("# "):
            inside = inside.partition("\n")[2].lstrip()
        return inside.startswith(signs)

    return hint


def holds(*signs: str) -> Callable[[str], bool]:
    """Whether a text holds one of these."""
    return lambda text: any(sign in text for sign in signs)
