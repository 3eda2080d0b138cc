"""Which law decisions without uniforms were made under, where the declared one does not fit: by calibration.

Without r a law forbids little, but it says how often each token is accepted. Another law is believed only if nothing
recorded contradicts it and its own calibration holds at the first position and behind it.
"""

import math

import numpy as np
import polars as pl

from sdtrace.diagnosis.law_cycle import cycle_fits
from sdtrace.schema.arrays import Floats
from sdtrace.schema.run import Run
from sdtrace.verify.band import DISAGREE
from sdtrace.verify.laws import LAWS, candidates
from sdtrace.verify.laws.block import prefixes
from sdtrace.verify.positions import positions
from sdtrace.verify.scope import Scope, of_sample

#: Standard errors that a law may be off and still fit, and that the declared one must be off at the least.
FITS, MISFITS = 3.5, 6.0
#: Decisions from which a calibration says anything; chance of a coincidence that is still believed.
_ENOUGH, _LUCK = 100, 0.5


def refit(sample: pl.DataFrame, run: Run, declared: str) -> tuple[str, int] | None:
    """(law, decisions) that fits the sampled steps of a run; None where none does, or more than one."""
    part = sample.filter(pl.col("law") == declared)
    if part.is_empty():
        return None
    pos = positions(part)
    possible = {law.name for law in candidates(pos)} & {"ratio", "one-hot", "block", "match"}
    scopes = {name: of_sample(pos, run, name) for name in possible | {declared}}
    tested = int(scopes[declared].judged.tested.sum())
    if tested < _ENOUGH or np.isfinite(pos.r[scopes[declared].judged.tested]).any():
        return None
    wrong = {name: int((scope.judged.decision == DISAGREE).sum()) for name, scope in scopes.items()}
    if not wrong[declared] and offset(scopes[declared]) < MISFITS:
        return None
    fits = [n for n in possible - {declared} if not wrong[n] and offset(scopes[n]) < FITS]
    fits = [n for n in fits if cycle_fits(LAWS[n], pos, scopes[n].bands)]
    if "block" in fits and not _behind(scopes["ratio"], wrong["ratio"]):
        fits.remove("block")
    return (fits[0], tested) if len(fits) == 1 else None


def _behind(ratio: Scope, wrong: int) -> bool:
    """Whether rejections of tokens with p > q stand only where block verification allows them, and not by luck: behind a
    prefix whose P is below 1 (none stands elsewhere, or block verification would not fit)."""
    pos = ratio.pos
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        before = np.append(1.0, prefixes(pos)[:-1])
        surely = ratio.judged.tested & (pos.p > pos.q)
    open_ = surely & (pos.position > 0) & (before < 1.0)
    share = float(open_.sum()) / max(float(surely.sum()), 1.0)
    return wrong > 0 and share**wrong < _LUCK


def offset(scope: Scope) -> float:
    """How many standard errors the law's calibration is off, at first positions or behind them; infinite if unknown."""
    pos = scope.pos
    if scope.law.decides == "block":
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            gap = (pos.position < pos.n_a) - prefixes(pos)
        use = np.isfinite(gap) & (pos.n_a >= 0)
        first = use & (pos.position == 0)
        later = np.bincount(pos.row[use & ~first], weights=gap[use & ~first], minlength=len(pos.count))
        return max(_standard(gap[first]), _standard(later[later != 0.0]))
    chance = scope.judged.expected
    use = scope.judged.tested & (chance > 0) & (chance < 1)
    gap = pos.accepted - chance
    first = use & (pos.position == 0)
    return max(_standard(gap[part], chance[part]) for part in (first, use & ~first))


def _standard(gap: Floats, chance: Floats | None = None) -> float:
    variance = float((gap * gap if chance is None else chance * (1 - chance)).sum())
    return abs(float(gap.sum())) / math.sqrt(variance) if variance > 0 else 0.0
