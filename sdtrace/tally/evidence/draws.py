"""Uniform draws of tested positions: uniform given what was known before, and independent within a step."""

import numpy as np

from sdtrace.schema.arrays import Flags, Ints
from sdtrace.tally.evidence.sums import Sums
from sdtrace.verify.scope import Scope


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
    first, second, third, fourth = (float(x.sum()) for x in (t, square, square * t, square * square))
    legendre = first, (3 * second - n) / 2, (5 * third - 3 * first) / 2, (35 * fourth - 30 * second + 3 * n) / 8
    for order, value in enumerate(legendre, start=1):
        code = "SD221" if order == 1 else f"SD221:{order}"
        sums.standard(code, float(np.sqrt(2 * order + 1)) * value, float(n), n)
    behind = later[1:]
    before = t[:-1] * behind
    together, variance = float((before * t[1:]).sum()), float((before * before).sum()) / 3.0
    sums.standard("SD222", together, variance, int(np.count_nonzero(behind)))


def of_block(scope: Scope, sums: Sums) -> None:
    """The same for block verification, which draws for every verified position."""
    draws(scope, np.arange(len(scope.pos.row)), scope.pos.position > 0, sums)
