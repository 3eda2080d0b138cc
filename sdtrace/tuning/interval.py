"""Ratios of sums over requests, with requests as clusters."""

import numpy as np

from sdtrace.diagnosis.acceptance import student
from sdtrace.schema.arrays import Floats


def ratio(above: Floats, below: Floats) -> tuple[float | None, float | None]:
    """sum(above) / sum(below) over requests and half of its 95% interval; None where there is nothing, or one request.

    Linearised variance G/(G-1) sum (A_i - theta D_i)^2 / (sum D)^2 with Student's t (Cochran 1977).
    """
    used = below > 0
    above, below = above[used], below[used]
    g, d = len(below), float(below.sum())
    if not d:
        return None, None
    theta = float(above.sum()) / d
    if g < 2:
        return theta, None
    squares = float(((above - theta * below) ** 2).sum())
    return theta, student(0.975, g - 1) * float(np.sqrt(g / (g - 1) * squares)) / d
