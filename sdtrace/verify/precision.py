"""Which precision logged probabilities were rounded to, when nobody says, and the band that follows."""

import numpy as np
import numpy.typing as npt

from sdtrace.schema.arrays import Floats
from sdtrace.verify.band import EXACT, Rounding, coarser, rounding
from sdtrace.verify.law import Bands
from sdtrace.verify.positions import Positions

#: Values looked at. A column of higher precision betrays itself within a few values.
_SAMPLE = 4096
#: JSON printed with 9 significant digits is this far from the float32 it came from.
_PRINTED = 1e-8


def infer(values: Floats) -> str:
    """The coarsest prob_dtype that all `values` fit: decimals:N, bfloat16, float16, else float32. 0 and 1 tell nothing.

    float64 is never inferred: the band of float32 is sound for it and costs nothing.
    """
    seen = values[:_SAMPLE]
    seen = seen[(seen > 0.0) & (seen < 1.0)]
    if not len(seen):
        return "float32"
    for digits in range(1, 7):
        nearest = np.round(seen * 10**digits)
        # a decimal that went through float32 is off by half of a unit of its last bit
        if np.all(np.abs(seen * 10**digits - nearest) < np.maximum(1e-6, nearest * 2.0**-24)):
            return f"decimals:{digits}"
    mantissa, _ = np.frexp(seen)
    if _on_grid(mantissa, 8):
        return "bfloat16"
    subnormal = np.abs(seen * 2**24 - np.round(seen * 2**24)) < 1e-6
    return "float16" if np.all(_grid(mantissa, 11) | (subnormal & (seen < 6.2e-5))) else "float32"


def bands(pos: Positions, declared: str | None, *, cut: bool = False) -> Bands:
    """The bands of a batch: the declared precision, or a coarser one that the values show.

    A run may say float32 and its writer may still have printed four decimals: the wider band is the sound one. `cut`: decimals were
    cut off, not rounded, and may be off by all of a unit of the last one.
    """
    p, q = band(pos.p, declared), band(pos.q, declared)
    return Bands(_cut(p), _cut(q)) if cut else Bands(p, q)


def of_decimals(rounding: Rounding) -> bool:
    """Whether values are off by half of a unit of a decimal; a step of the smallest float16 is less than one of seven decimals."""
    return rounding.absolute > 2.0**-25


def _cut(rounding: Rounding) -> Rounding:
    return Rounding(rounding.relative, 2 * rounding.absolute) if of_decimals(rounding) else rounding


#: What a probability may be off by at most, relative to itself: its greatest value is p / (1 - relative).
_WIDEST = 0.999


def widened(bands: Bands, imprecise: float | None) -> Bands:
    """Bands in which a target probability may be off by `imprecise`, relative to itself, as well; never by all of itself."""
    if not imprecise:
        return bands
    return Bands(Rounding(min(bands.p.relative + imprecise, _WIDEST), bands.p.absolute), bands.q)


def band(values: Floats, declared: str | None) -> Rounding:
    """The rounding of one column: the declared one, widened to what its values show."""
    stated = EXACT
    if declared is not None:
        try:
            stated = rounding(declared)
        except ValueError:
            declared = None
    shown = infer(values)
    if declared is not None and shown in ("float32", "decimals:1", "decimals:2"):
        return stated  # values of one or two digits were written by hand, not rounded by a recorder
    return coarser(stated, rounding(shown))


def _grid(mantissa: Floats, bits: int) -> npt.NDArray[np.bool_]:
    scaled = mantissa * 2.0**bits
    return np.asarray(np.abs(scaled - np.round(scaled)) <= np.maximum(_PRINTED * scaled, 1e-9))


def _on_grid(mantissa: Floats, bits: int) -> bool:
    return bool(np.all(_grid(mantissa, bits)))
