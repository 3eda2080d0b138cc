"""Uniform draws of tested positions: uniform given what was known before, and independent within a step."""

import numpy as np
import numpy.typing as npt

from sdtrace.evidence.sums import Sums
from sdtrace.scope import Scope

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def draws(scope: Scope, at: Ints, later: Flags, sums: Sums) -> None:
    """Rows SD221 and SD221:2 to SD221:4 (Legendre polynomials of r: Neyman's smooth test), SD222 (neighbours).

    `at`: verified positions that drew, whole steps of them; `later`: not the first of its step. Moments do not care for
    the rounding of r, as bins would.
    """
    if not scope.law.draws or scope.absent("uniforms"):
        return
    r = scope.pos.r[at]
    valid = (r >= 0.0) & (r <= 1.0)
    if not valid.all():
        later, r = later[valid] & np.append(False, valid[:-1])[valid], r[valid]
    if not len(r):
        return
    t = 2.0 * r - 1.0
    square = t * t
    n = len(r)
    for order, value in enumerate((t, (3 * square - 1) / 2, (5 * square - 3) * t / 2, _fourth(square)), start=1):
        code = "SD221" if order == 1 else f"SD221:{order}"
        sums.standard(code, float(np.sqrt(2 * order + 1) * value.sum()), float(n), n)
    neighbours = np.flatnonzero(later)
    before, after = t[neighbours - 1], t[neighbours]
    sums.standard("SD222", float((before * after).sum()), float((before * before).sum() / 3.0), len(neighbours))


def of_block(scope: Scope, sums: Sums) -> None:
    """The same for block verification, which draws for every verified position."""
    draws(scope, np.arange(len(scope.pos.row)), scope.pos.position > 0, sums)


def _fourth(square: Floats) -> Floats:
    return np.asarray((35 * square * square - 30 * square + 3) / 8)
