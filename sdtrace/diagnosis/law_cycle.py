"""Whether the tokens recovered after rejections are those of a law: a test and a residual belong together.

An engine may test by one law and recover by another; then neither is its law. What is looked at is the ratio s = q/p at the
recovered token. Under the ratio law it is below 1. Under the one-hot law the token is drawn from p without x, so that the mean of
min(1, s) is (sum min(p, q) - min(p, q)(x)) / (1 - p(x)).
"""

import numpy as np
import numpy.typing as npt

from sdtrace.verify.law import Bands, Law
from sdtrace.verify.positions import Positions

Floats = npt.NDArray[np.float64]

#: Standard errors that the mean may be off.
_OFF = 5.0
#: Recovered tokens with s in [1/2, 1) that tell of an edge at 1, where none has s in [1, 2): a chance of 2^-20, unless the
#: ratios of a correct engine have an edge there of their own.
_EDGE = 20


def cycle_fits(law: Law, pos: Positions, bands: Bands) -> bool:
    """Whether no recovered token, and no mean of them, contradicts the law's residual; True where nothing can be told."""
    steps = pos.steps
    n_a, count = steps["n_a"].to_numpy(), pos.count
    p_y, q_y = (
        steps[name].fill_null(np.nan).to_numpy().astype(np.float64) for name in ("last_target_prob", "last_draft_prob")
    )
    here = np.flatnonzero((n_a >= 0) & (n_a < count) & (p_y > 0) & (q_y >= 0))
    if not len(here) or law.residual not in ("ratio", "without-x"):
        return True
    p_y, q_y = p_y[here], q_y[here]
    if law.residual == "ratio":
        return not bool((bands.p.high(p_y) < bands.q.low(q_y)).any())
    s = q_y / p_y
    at = pos.start[here] + n_a[here]
    if steps["overlap"].null_count() == steps.height:
        return not (((s >= 0.5) & (s < 1)).sum() >= _EDGE and not ((s >= 1) & (s < 2)).any())
    x_p, x_q, overlap = pos.p[at], pos.q[at], pos.column("overlap")[at].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = (overlap - np.minimum(x_p, x_q)) / (1.0 - x_p)
    gap = (np.minimum(s, 1.0) - wanted)[np.isfinite(wanted)]
    return abs(float(gap.sum())) <= _OFF * float(np.sqrt((gap * gap).sum())) + 1e-9
