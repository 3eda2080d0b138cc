"""Philox-4x32 with ten rounds (Salmon, Moraes, Dror and Shaw 2011), and Triton's tl.rand on top of it.

Published vectors: Random123's kat_vectors. vLLM's model runner V2 draws the uniform of a test at row `position` so.
"""

import numpy as np
import numpy.typing as npt

from sdtrace.schema.arrays import Ints

Words = npt.NDArray[np.uint32]
_MULTIPLY = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_MASK, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
#: The step between two floats that tl.rand can return; nothing is below it in vLLM.
STEP = np.float32(4.6566127342e-10)


def philox(counter: Words, key: tuple[int | Ints, int | Ints]) -> Words:
    """Four words (..., 4) for counters (..., 4); the halves of the key are numbers, or one for every counter."""
    c = [counter[..., i].astype(np.uint64) for i in range(4)]
    k = [np.asarray(half).astype(np.uint64) for half in key]
    for _ in range(10):
        a, b = c[0] * _MULTIPLY[0], c[2] * _MULTIPLY[1]
        c = [
            (b >> _HALF) ^ c[1] ^ k[0],
            b & _MASK,
            (a >> _HALF) ^ c[3] ^ k[1],
            a & _MASK,
        ]
        k = [(half + weyl) & _MASK for half, weyl in zip(k, _WEYL, strict=True)]
    return np.stack(c, axis=-1).astype(np.uint32)


def uniform(seed: int | Ints, position: Ints) -> npt.NDArray[np.float32]:
    """`seed`: one, or one for every position.

    tl.rand(seed, position): of the first word, taken as signed, x or -x-1 where negative, times 2^-31 or nearly so."""
    at = position.astype(np.uint64)
    zero = np.zeros_like(at)
    counter = np.stack([at & _MASK, at >> _HALF, zero, zero], axis=-1).astype(np.uint32)
    word = philox(counter, (seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF))[..., 0].view(np.int32)
    raised = np.where(word < 0, -(word.astype(np.int64)) - 1, word).astype(np.float32) * STEP
    drawn: npt.NDArray[np.float32] = np.maximum(raised, STEP)
    return drawn
