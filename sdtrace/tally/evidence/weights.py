"""Weights that bring out one fault: the shift of log odds that it makes, known before the draw (locally most powerful)."""

import numpy as np

from sdtrace.schema.arrays import Flags, Floats, Ints
from sdtrace.tally.evidence.slots import Slots
from sdtrace.tally.evidence.sums import Sums, Tosses, part_of
from sdtrace.verify.scope import Scope

#: The greatest weight.
_MOST = 10.0
#: The log odds lose a fifth on the whole, in the mean over rows of language models: that is the unit.
_UNIT = 5.0


def reuse(chance: Floats, open_: Tosses, here: Slots, sums: Sums) -> None:
    """Row SD201:reuse: acceptance behind the first position against one draw for the whole step.

    What was accepted before says that a shared draw is at most the smallest chance m so far, so the next token is accepted
    with the chance min(1, b / m) instead of b.
    """
    least = _least_before(chance, here.later, here.row)[open_.at]
    behind = np.flatnonzero(least < 1.0)
    b, m = open_.chance[behind], least[behind]
    weight = np.minimum((1.0 / np.maximum(m, b) - 1.0) / (1.0 - b), _MOST)  # 1 / b where b is not below m
    sums.weighed("SD201:reuse", weight, b, open_.hit[behind], part_of(open_.spread, behind), len(chance))


def _least_before(chance: Floats, later: Flags, row: Ints) -> Floats:
    """The least chance at earlier slots of the same step, unknown ones left out; 1 or NaN where there is none.

    Every step (`row`) is lowered by 2 more than the one before it, so that one running minimum begins anew with each.
    """
    if not len(chance):
        return chance
    shift = 2.0 * (row - row[0])
    running = np.fmin.accumulate(chance - shift)
    running += shift
    least = np.ones(len(chance))
    np.maximum(running[:-1], ~later[1:], out=least[1:])  # 1 for the first of a step
    return np.minimum(least, 1.0, out=least)


def bent(scope: Scope, here: Slots, open_: Tosses, n: int, sums: Sums) -> None:
    """Row SD204: reverse calibration against the draft's noise in the recovery (vllm#47386).

    A race for the draft that was lost by token i leaves it q_i M behind (M ~ Exp(1)) when the same noise races for the
    residual r of weight t: by o = q / r = g / (1 - g) it is drawn some 1 / (1 + t o) times as often, so the log odds
    of an acceptance at y rise by about t o / (1 + t o), less what they lose on the whole. Where t = 1 - sum min(p, q) is not
    logged, 1 - p stands for it, and only tokens with p near q are looked at.
    """
    at, g = open_.at, open_.chance
    if scope.absent("overlap"):
        square = g * g
        weight = square * square
        weight *= weight * _UNIT * (1.0 - here.p_y[at])
    else:
        t = np.maximum(1.0 - scope.pos.column("overlap")[here.at[at]].astype(np.float64), 0.0)
        weight = np.nan_to_num(t * g / (1.0 - g + t * g) * _UNIT - 1.0, nan=0.0)
    sums.weighed("SD204", weight, g, open_.hit, open_.spread, n)


def lean(q_y: Floats) -> Floats:
    """Along which acceptance given the emitted token leans where the draft or the residual is sharper or flatter than it should be: the
    logarithm of q at the token, from -1 to 1, 0 at .14. Of drafts and residuals raised to a power, and argmax ones, it sees as much in
    a tenth of the tokens as their whole does."""
    return np.asarray(np.clip(0.25 * np.log(q_y) + 0.5, -1.0, 1.0))
