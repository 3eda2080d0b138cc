"""Recorded probabilities that are not quite the compared ones: another pass, another precision, a sum that is not 1."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sdtrace.simulate.variant import Variant
from sdtrace.simulate.world import World

_DRAWN = ("ratio", "one-hot", "tree-coin", "block")
_SAMPLED = ("ratio", "block")


def _noise(share: float) -> Callable[[World], World]:
    """The recorded p is that of another pass: off by a share, in the median."""

    def shown(world: World) -> World:
        noise = np.exp(share * world.rng.standard_normal(world.p.shape, dtype=np.float32))
        return replace(world, p=np.asarray(np.minimum(world.p * noise, 1.0), np.float32))

    return shown


def _noise_of_both(share: float) -> Callable[[World], World]:
    """Both recorded probabilities are those of other passes."""

    def shown(world: World) -> World:
        noise = np.exp(share * world.rng.standard_normal(world.q.shape, dtype=np.float32))
        return replace(_noise(share)(world), q=np.asarray(np.minimum(world.q * noise, 1.0), np.float32))

    return shown


def _high(world: World) -> World:
    """The recorded p is too high by 2%: not quite normalised."""
    return replace(world, p=np.asarray(np.minimum(world.p * np.float32(1.02), 1.0), np.float32))


def _coarse(world: World) -> World:
    """p went through bfloat16 in front of the recorder, which writes float32 of what it got, scaled a little."""
    bits = np.ascontiguousarray(world.p, np.float32).view(np.uint32)
    coarse = ((bits + np.uint32(0x8000)) & np.uint32(0xFFFF0000)).view(np.float32)
    return replace(world, p=np.asarray(np.minimum(coarse * np.float32(1.0000007), 1.0), np.float32))


def _cut(
    values: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.asarray(np.floor(values.astype(np.float64) * 1000) / 1000, np.float32)


def _three_decimals(world: World) -> World:
    """Three decimals of p and q are kept, further ones cut off."""
    return replace(world, p=_cut(world.p), q=_cut(world.q))


LAWFUL_NOISE: dict[str, Variant] = {
    "noise-0.05%": Variant("the recorded p is off by 0.05%", _DRAWN, shown=_noise(0.0005), record_fault=True),
    "noise-0.5%": Variant("the recorded p is off by 0.5%", _DRAWN, shown=_noise(0.005), record_fault=True),
    "noise-2%": Variant("the recorded p is off by 2%", _DRAWN, shown=_noise(0.02), record_fault=True),
    "noise-8%": Variant("the recorded p is off by 8%", _DRAWN, shown=_noise(0.08), record_fault=True),
    "noise-of-both-5%": Variant("the recorded p and q are off by 5%", _SAMPLED, shown=_noise_of_both(0.05), record_fault=True),
    "p-too-high": Variant("the recorded p is too high by 2%", _DRAWN, shown=_high, record_fault=True),
    "coarse-p": Variant("p went through bfloat16 and is said to be float32", _DRAWN, shown=_coarse, record_fault=True),
    "digits-cut": Variant(
        "three decimals of p and q are kept, further ones cut off and not rounded", _DRAWN, shown=_three_decimals, record_fault=True,
        dtypes=("float32", "float64", "decimals:3", "decimals:4"),
    ),
}  # fmt: skip
