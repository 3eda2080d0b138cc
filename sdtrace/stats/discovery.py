"""Which of many tests count, with the share of false ones among them bounded."""

import math
from collections.abc import Sequence


def e_bh(logs: Sequence[float], level: float) -> list[bool]:
    """Of log e-values, however they depend on each other: the k greatest, where the k-th is n / (k level) (Wang and Ramdas 2022)."""
    ranked = sorted(logs, reverse=True)
    kept = [v for k, v in enumerate(ranked, start=1) if v >= math.log(len(logs) / (k * level))]
    return [bool(kept) and value >= kept[-1] for value in logs]


def bh(chances: Sequence[float], level: float) -> list[bool]:
    """Of p-values: the k least, where the k-th is k level / n (Benjamini and Hochberg 1995)."""
    ranked = sorted(chances)
    kept = [p for k, p in enumerate(ranked, start=1) if p <= k * level / len(chances)]
    return [bool(kept) and p <= kept[-1] for p in chances]
