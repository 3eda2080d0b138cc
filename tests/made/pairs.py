"""Pairs of two tables for `pytest.mark.parametrize`: some of them in the default suite, all of them in .ci/run."""

from collections.abc import Sequence
from typing import Any

import pytest


def in_turn(ones: Sequence[Any], others: Sequence[Any], of: int) -> list[Any]:
    """Every pair; one of `of`, every entry of both tables among them, is run by default, the others are slow ones."""
    return [
        pytest.param(one, other, marks=() if (i + j) % of == 0 else pytest.mark.slow)
        for i, one in enumerate(ones)
        for j, other in enumerate(others)
    ]
