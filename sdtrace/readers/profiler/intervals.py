"""Arithmetic of intervals: sorted arrays of begins and ends (n, 2), in microseconds."""

import numpy as np

from sdtrace.schema.arrays import Floats

NONE: Floats = np.zeros((0, 2))


def union(spans: Floats) -> Floats:
    """What is covered by any of the spans, as intervals that do not touch each other: nested and overlapping time counts once."""
    if not len(spans):
        return NONE
    ordered = spans[np.argsort(spans[:, 0], kind="stable")]
    reach = np.maximum.accumulate(ordered[:, 1])
    begins = np.concatenate([[True], ordered[1:, 0] > reach[:-1]])
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(ordered)) - 1
    return np.stack([ordered[first, 0], reach[last]], axis=1)


def within(merged: Floats, windows: Floats) -> Floats:
    """Time that `merged` (a union) covers of each window."""
    if not len(merged):
        return np.zeros(len(windows))
    covered = np.concatenate([[0.0], np.cumsum(merged[:, 1] - merged[:, 0])])

    def until(at: Floats) -> Floats:
        index = np.searchsorted(merged[:, 0], at, side="right")
        over = np.where(index > 0, merged[np.maximum(index - 1, 0), 1] - at, 0.0)
        return np.asarray(covered[index] - np.clip(over, 0.0, None))

    return until(windows[:, 1]) - until(windows[:, 0])


def outermost(spans: Floats, owner: Floats) -> np.ndarray:
    """Which spans are inside no span of another owner on the same track: the drafter's own forward pass is no verification.

    `owner` is a number a span. A span that begins inside one of another owner belongs to that one. True = it stands.
    """
    stands = np.ones(len(spans), dtype=bool)
    order = np.lexsort((-spans[:, 1], spans[:, 0]))
    end, mine = -np.inf, -1.0
    for i in order:
        if spans[i, 0] < end and owner[i] != mine:
            stands[i] = False
        elif spans[i, 1] > end:
            end, mine = spans[i, 1], owner[i]
    return stands
