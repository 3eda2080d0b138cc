"""Whether emitted tokens depart from the law by the draft or by the recovery: powers of q and of p - q.

Of an emitted token y with p > q > 0 the law says P(accepted | y) = q / (q + (p - q)), so that its log odds are log q - log(p - q). A
draft from q^a gives a log q, a recovery from the residual to the power b gives - b log(p - q): a logistic fit of both powers
tells which side is off (constants of a row blur it, and do not turn it).
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from sdtrace.schema.arrays import Flags, Floats
from sdtrace.schema.run import Run
from sdtrace.tally.evidence.slots import slots
from sdtrace.verify.positions import positions
from sdtrace.verify.scope import of_sample

_FEWEST = 200
#: Standard errors that the residual's power must be off.
_OFF = 3.0


@dataclass(frozen=True)
class Powers:
    """The powers of q and of p - q with their standard errors; 1 and 1 under the law."""

    draft: float
    residual: float
    draft_error: float
    residual_error: float

    @property
    def draft_off(self) -> float:
        """Standard errors that the draft's power is off."""
        return (self.draft - 1.0) / self.draft_error

    @property
    def residual_off(self) -> float:
        """Standard errors that the residual's power is off."""
        return (self.residual - 1.0) / self.residual_error

    @property
    def leans(self) -> bool:
        """Whether it is the residual that has another power, and not q."""
        return self.residual_off > _OFF and self.residual_off > 2.0 * self.draft_off


def powers(sample: pl.DataFrame | None, run: Run, law: str) -> Powers | None:
    """The fit on sampled steps of a run under the ratio law; None where there is too little to fit."""
    if sample is None or sample.is_empty() or law != "ratio":
        return None
    here = slots(of_sample(positions(sample), run, law))
    with np.errstate(invalid="ignore"):
        use = here.seen & (here.q_y > 0) & (here.p_y > here.q_y) & (here.p_y <= 1)
    left = (here.p_y - here.q_y)[use]
    return _fit(np.column_stack((np.log(here.q_y[use]), -np.log(left), np.ones(len(left)))), here.accepted[use])


def _fit(x: Floats, accepted: Flags) -> Powers | None:
    """Iteratively reweighted least squares from (1, 1, 0)."""
    if len(x) < _FEWEST or not 20 <= accepted.sum() <= len(x) - 20:
        return None
    beta = np.array([1.0, 1.0, 0.0])
    y = accepted.astype(np.float64)
    for _ in range(25):
        mean = 1.0 / (1.0 + np.exp(-np.clip(x @ beta, -30.0, 30.0)))
        weight = np.maximum(mean * (1.0 - mean), 1e-9)
        hessian = (x * weight[:, None]).T @ x + 1e-6 * np.eye(3)
        step = np.linalg.solve(hessian, x.T @ (y - mean))
        beta = beta + np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-6:
            break
    error = np.sqrt(np.diag(np.linalg.inv(hessian)))
    return Powers(float(beta[0]), float(beta[1]), float(error[0]), float(error[1]))
