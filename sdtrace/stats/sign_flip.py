"""Paired samples, alike or not: signs of differences are flipped. Exact at any size where both of a pair are drawn alike.

Several statistics are looked at together (Westfall and Young): each is set against its own spread under flips, and the largest counts,
so that looking at more of them raises no more false alarms.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sdtrace.schema.arrays import Floats

#: Flips that are drawn; the smallest p-value is one above their inverse, or that of 2^(pairs - 1).
FLIPS = 4999


@dataclass(frozen=True)
class Flipped:
    """`p`: of all statistics together; `each`: of each alone, which is not corrected; `loudest`: the name of the largest."""

    p: float
    each: dict[str, float]
    loudest: str


def sign_flip(differences: Mapping[str, Floats], seed: int = 1) -> Flipped | None:
    """`differences`: by name an array (pairs, columns), one side minus the other; columns are weighed by their spread and squares added.

    None where no column differs in any pair.
    """
    kept = {name: d for name, values in differences.items() if (d := _scaled(values)) is not None}
    if not kept:
        return None
    n = len(next(iter(kept.values())))
    signs = np.where(np.random.default_rng(seed).random((FLIPS + 1, n)) < 0.5, -1.0, 1.0)
    signs[0] = 1.0
    found = {name: np.square(signs @ d).sum(axis=1) for name, d in kept.items()}
    each = {name: float((values >= values[0] * (1 - 1e-9)).mean()) for name, values in found.items()}
    ranks = np.stack([_p_values(values) for values in found.values()])
    least = ranks.min(axis=0)
    loudest = list(found)[int(ranks[:, 0].argmin())]
    return Flipped(float((least <= least[0] * (1 + 1e-9)).mean()), each, loudest)


def _scaled(values: Floats) -> Floats | None:
    """Columns over the root of their sum of squares; None where nothing differs."""
    size = np.sqrt(np.square(values).sum(axis=0))
    return values[:, size > 0] / size[size > 0] if (size > 0).any() else None


def _p_values(values: Floats) -> Floats:
    """Of every flip among all: the share that is at least as large."""
    order = np.sort(values)
    return 1 - np.searchsorted(order, values * (1 - 1e-9), side="left") / len(values)
