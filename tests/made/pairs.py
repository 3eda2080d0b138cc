"""Entries of a table, or pairs of two, for `pytest.mark.parametrize`: some of them in the default suite, all of them in .ci/run."""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest


def in_turn(ones: Sequence[Any], others: Sequence[Any], of: int) -> list[Any]:
    """Every pair; one of `of` is run by default, the others are slow ones. Every entry of a table of at least `of` others has its turn."""
    return [
        pytest.param(one, other, marks=() if (i + j) % of == 0 else pytest.mark.slow)
        for i, one in enumerate(ones)
        for j, other in enumerate(others)
    ]


def one_of(of: int, entries: Iterable[Any]) -> list[Any]:
    """Every entry; the first of each `of` is run by default, the others are slow ones."""
    return [pytest.param(entry, marks=pytest.mark.slow if i % of else ()) for i, entry in enumerate(entries)]


def often(kept: Iterable[Any], entries: Iterable[Any]) -> list[Any]:
    """Every entry; those that are kept are run by default, the others are slow ones."""
    chosen = set(kept)
    return [pytest.param(entry, marks=() if entry in chosen else pytest.mark.slow) for entry in entries]
