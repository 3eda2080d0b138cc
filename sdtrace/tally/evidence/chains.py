"""Block verification: whether a prefix of i drafted tokens is kept as often as its P_i says (Sun et al. 2024).

E[1{n_a >= i} - P_i | x_1 .. x_i] = 0 for every drafted i, reached or not; positions of a step depend on each other, so
the step is the unit.
"""

import numpy as np

from sdtrace.tally.evidence.by_step import BySteps
from sdtrace.tally.evidence.sums import Sums
from sdtrace.verify.laws.block import prefixes
from sdtrace.verify.scope import Scope


def chains(scope: Scope, sums: Sums, by_steps: BySteps) -> None:
    """Row SD231: mean of 1{n_a >= i} - P_i over the positions of a step, one value a step."""
    pos, steps = scope.pos, scope.steps
    if not len(pos.row):
        return
    n_a = steps["n_a"].to_numpy()
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        prefix = prefixes(pos)
    gap = (pos.position < pos.n_a).astype(np.float64) - prefix
    width = np.maximum(pos.count, 1)
    mean = np.bincount(pos.row, weights=np.nan_to_num(gap, nan=1e9), minlength=len(n_a)) / width
    clipped = (n_a >= 0) & (steps["last_tested"].to_numpy() < n_a)
    use = (n_a >= 0) & (pos.count > 0) & (np.abs(mean) <= 1.0)
    spread = float(use.sum()) * 2 * (scope.bands.p.relative + scope.bands.q.relative)
    absolute = scope.bands.p.absolute + scope.bands.q.absolute
    if absolute:
        spread += float(np.minimum(absolute / np.maximum(pos.q, 1e-9), 1.0)[np.repeat(use, pos.count)].sum())
    sums.bounded("SD231", mean[use & ~clipped], spread)
    if clipped.any():  # how an end was decided is not recorded, and leaving it out would bias the mean
        sums.standard("SD231:clipped", 0.0, 0.0, int(clipped.sum()))
    else:
        by_steps.of_block(np.flatnonzero(use), mean[use], spread)
