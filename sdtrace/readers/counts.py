"""What a number of a record must be to count: a record of a stranger may ask for a list of any length, or hold no number at all."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

#: More tokens than any drafter proposes in a step; what lies beyond is no position.
LONGEST = 4096
#: Figures at and beyond this are damage: no counter gets there, and sums of them would overflow.
_MOST = 2.0**63


def number(value: Any) -> float | None:
    """A finite number as it stands (int or float), None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if -_MOST < value < _MOST else None


def numbers(value: Any) -> list[float] | None:
    """A list of numbers (a lone number is a list of one), None for anything else."""
    if number(value) is not None:
        return [value]
    return list(value) if isinstance(value, list) and all(number(v) is not None for v in value) else None


def histogram(value: Any) -> list[float] | None:
    """Steps by number of tokens, from a list or an object keyed by that number; None for anything else, and if it is longer
    than a step can be."""
    if isinstance(value, Mapping):
        keys = [str(k) for k in value]
        if not keys or not all(k.isascii() and k.isdecimal() and len(k) <= 4 and int(k) <= LONGEST for k in keys):
            return None
        if any(number(v) is None for v in value.values()):
            return None
        return [float(value.get(str(j)) or 0) for j in range(max(int(k) for k in keys) + 1)]
    listed = numbers(value) if isinstance(value, list) else None
    return [float(v) for v in listed] if listed and len(listed) <= LONGEST + 1 else None


def gathered(steps: Sequence[float]) -> list[float] | None:
    """The histogram of single steps; None where one of them is no number of tokens."""
    if not steps or not all(0 <= n <= LONGEST for n in steps):
        return None
    counts = Counter(int(n) for n in steps)
    return [float(counts.get(j, 0)) for j in range(max(counts) + 1)]


def above(steps: Sequence[float]) -> list[float]:
    """Steps that had more than j tokens, for every j below the largest, from a histogram."""
    return list(accumulate(reversed(steps[1:])))[::-1]
