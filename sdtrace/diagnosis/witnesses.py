"""The slots that weigh most in a statistic: where to look first. None of them proves anything by itself."""

from typing import Any

import numpy as np
import polars as pl

from sdtrace.schema.arrays import Floats
from sdtrace.schema.run import Run
from sdtrace.tally.evidence.slots import Slots, slots
from sdtrace.verify.positions import positions
from sdtrace.verify.scope import Scope, of_sample

#: Slots named for one cause.
SHOWN = 3


def telling(sample: pl.DataFrame | None, run: Run, law: str, code: str, sign: float) -> list[dict[str, Any]]:
    """Rows with path, line, run_id, request_id, step, position, accepted, p, q (and p_y, q_y of the emitted token).

    `code` is the check that shows the cause, `sign` the direction in which it is off.
    """
    if sample is None or sample.is_empty():
        return []
    scope = of_sample(positions(sample), run, law)
    here = slots(scope)
    if not len(here.at):
        return []
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        weight = np.nan_to_num(_weight(scope, here, code) * (np.sign(sign) or 1.0), nan=-1.0)
    best = np.argsort(-weight, kind="stable")[:SHOWN]
    return [_row(scope, here, int(i)) for i in best if weight[i] > 0]


def _weight(scope: Scope, here: Slots, code: str) -> Floats:
    """The statistic of the check at every slot."""
    chance = scope.judged.expected[here.at]
    if code in ("SD202", "SD203", "SD204", "SD212", "SD241"):
        return np.asarray(here.accepted - np.minimum(here.q_y / here.p_y, 1.0))
    if code == "SD211" and not scope.absent("draft_sq"):
        return np.asarray(here.q - scope.pos.column("draft_sq")[here.at].astype(np.float64))
    if code in ("SD221", "SD222"):
        return np.where(here.later, 1.0, 0.0) if code == "SD222" else np.asarray(scope.pos.r[here.at] - 0.5)
    return np.asarray(here.accepted - chance)


def _row(scope: Scope, here: Slots, i: int) -> dict[str, Any]:
    at = int(here.at[i])
    step = scope.steps.row(int(scope.pos.row[at]), named=True)
    numbers = {"p": here.p[i], "q": here.q[i], "r": scope.pos.r[at], "p_y": here.p_y[i], "q_y": here.q_y[i]}
    return {
        **{name: step[name] for name in ("path", "line", "run_id", "request_id", "step")},
        "position": int(scope.pos.position[at]),
        "accepted": bool(here.accepted[i]),
        **{name: float(value) if np.isfinite(value) else None for name, value in numbers.items()},
    }
