"""The sound band: what a rounded probability can still prove about a decision.

A logged value is a rounding of what the engine compared, and the engine computed in float32. Every comparison is
therefore one of three things: agree, disagree, undecidable. Disagree is a proof: no value inside the intervals and no
tie convention (<, <=) makes the recorded decision right.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdtrace.schema.arrays import Flags, Floats

Decisions = npt.NDArray[np.int8]

AGREE, UNDECIDABLE, DISAGREE = 1, 0, -1

#: Relative error of the engine's own arithmetic. The log form (logit - logsumexp in float32, |lse| near 20) is the
#: worse one; the ratio form stays under 4 * 2^-24.
ENGINE_ERROR = 1e-5
#: vLLM's CPU kernel tests float32(r).
UNIFORM_ERROR = 2.0**-24

_RELATIVE = {"float64": 0.0, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}


@dataclass(frozen=True)
class Rounding:
    """How far a logged value can be from the true one: `relative` to it, plus `absolute`."""

    relative: float
    absolute: float

    def low(self, value: Floats) -> Floats:
        """Least value that rounds to `value`; never below 0."""
        return np.maximum(value / (1.0 + self.relative) - self.absolute, 0.0)

    def high(self, value: Floats) -> Floats:
        """Greatest value that rounds to `value`."""
        return value / (1.0 - self.relative) + self.absolute


EXACT = Rounding(0.0, 0.0)


def rounding(dtype: str) -> Rounding:
    """The rounding of a `prob_dtype` (float64, float32, float16, bfloat16, decimals:N). ValueError on another word."""
    if dtype.startswith("decimals:"):
        return Rounding(0.0, 0.5 * 10.0 ** -int(dtype.removeprefix("decimals:")) * (1 + 1e-9))
    if dtype not in _RELATIVE:
        raise ValueError(f"unknown prob_dtype {dtype!r}")
    # below 6.1e-5 float16 is subnormal: its step there is 2^-24
    return Rounding(_RELATIVE[dtype], 2.0**-25 if dtype == "float16" else 0.0)


def coarser(one: Rounding, other: Rounding) -> Rounding:
    """A rounding that allows all that either of two allows."""
    return Rounding(max(one.relative, other.relative), max(one.absolute, other.absolute))


def in_range(value: Floats, band: Rounding) -> Flags:
    """Where a value can be a probability: finite, not negative, above 1 by no more than rounding explains."""
    return (value >= 0.0) & (value <= highest(band))


def highest(band: Rounding) -> float:
    """What a probability may be at most after rounding."""
    return 1.0 + max(1e-5, 2 * band.relative + band.absolute)


def decide(accepted: Flags, p: Floats, q: Floats, r: Floats, p_dtype: str, q_dtype: str) -> Decisions:
    """Recompute `accept iff r <= p / q` for arrays of one shape; see `compare` for the meaning of the result."""
    return compare(accepted, p, q, r, rounding(p_dtype), rounding(q_dtype))


def compare(accepted: Flags, p: Floats, q: Floats, r: Floats, p_band: Rounding, q_band: Rounding) -> Decisions:
    """1 agree, -1 disagree, 0 undecidable for `accept iff r <= p / q` (Leviathan et al. 2023), ties either way.

    A NaN is an absent value. Without r the impossible events remain: a rejection where p / q > 1, an acceptance where
    p = 0. q = 0, and anything that is no probability, is undecidable here: such values are findings of their own.
    """
    if len(p) <= 2 * _BLOCK:
        return _compare(accepted, p, q, r, p_band, q_band)
    result = np.empty(len(p), dtype=np.int8)
    for start in range(0, len(p), _BLOCK):  # pieces that stay in the processor's cache are twice as fast
        s = slice(start, start + _BLOCK)
        result[s] = _compare(accepted[s], p[s], q[s], r[s], p_band, q_band)
    return result


_BLOCK = 32_768


def _compare(accepted: Flags, p: Floats, q: Floats, r: Floats, p_band: Rounding, q_band: Rounding) -> Decisions:
    known = None if _sane(p, q, r) else (q > 0.0) & in_range(p, p_band) & in_range(q, q_band)
    with np.errstate(invalid="ignore", over="ignore"):
        drawn = r * q
        margin = p - drawn
        slack = p * (2 * (p_band.relative + q_band.relative + UNIFORM_ERROR + ENGINE_ERROR))
        slack += p_band.absolute + 1e-300
        if q_band.absolute:
            slack += (1 + 1e-6) * q_band.absolute * r
        agree = (margin >= 0.0) == accepted
        clear = np.abs(margin, out=margin) > slack
    result: Decisions = 2 * agree.view(np.int8) - 1  # AGREE or DISAGREE
    if known is not None:
        clear &= known & (r >= 0.0) & (r <= 1.0)
    rest = np.flatnonzero(~clear)
    if len(rest):
        inside = (r[rest] >= 0.0) & (r[rest] <= 1.0)
        r_rest = np.where(inside, r[rest], np.nan)
        result[rest] = _careful(accepted[rest], p[rest], q[rest], r_rest, p_band, q_band)
    if known is not None:
        result[~known] = UNDECIDABLE
    return result


def _sane(p: Floats, q: Floats, r: Floats) -> bool:
    """Whether every value can be compared as it stands; a NaN anywhere makes this False."""
    if not len(p):
        return True
    return bool(
        q.min() > 0.0 and q.max() <= 1.0 and p.min() >= 0.0 and p.max() <= 1.0 and r.min() >= 0.0 and r.max() <= 1.0
    )


def ratio_interval(p: Floats, q: Floats, p_band: Rounding, q_band: Rounding) -> tuple[Floats, Floats]:
    """The interval that holds the ratio that the engine compared; q whose low end is 0 leaves it open above."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        low = p_band.low(p) / q_band.high(q) * (1.0 - ENGINE_ERROR)
        high = p_band.high(p) / q_band.low(q) * (1.0 + ENGINE_ERROR)
    high = np.where(p_band.high(p) == 0.0, 0.0, high)
    return low, np.where(np.isnan(high), np.inf, high)


def _careful(accepted: Flags, p: Floats, q: Floats, r: Floats, p_band: Rounding, q_band: Rounding) -> Decisions:
    """`compare` by intervals, for the rows near the boundary and for those without a uniform (NaN)."""
    low, high = ratio_interval(p, q, p_band, q_band)
    no_draw = np.isnan(r)
    r_low = np.where(no_draw, 0.0, r * (1.0 - UNIFORM_ERROR))
    r_high = np.where(no_draw, 1.0, r * (1.0 + UNIFORM_ERROR))
    # p = 0 accepted needs r = 0 exactly, which a generator of 2^24 values gives once in 16 million draws
    wrong_accept = (r_low > high) | (no_draw & (high == 0.0))
    wrong = np.where(accepted, wrong_accept, r_high < low)
    right = np.where(accepted, r_high <= low, r_low > high)
    return np.where(wrong, DISAGREE, np.where(right, AGREE, UNDECIDABLE)).astype(np.int8)
