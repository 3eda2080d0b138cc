"""Gumbel noise keyed by (seed, row, token) through murmur3 with 32 bits: how vLLM's model runner V2 draws a token of a row.

SGLang (0.5.9 on, with a seed and deterministic inference) hashes the same words and makes its noise in float64.
"""

import numpy as np
import numpy.typing as npt

from sdtrace.schema.arrays import Floats, Ints

Words = npt.NDArray[np.uint32]
_C1, _C2 = np.uint32(0xCC9E2D51), np.uint32(0x1B873593)


def _rotl(x: Words, n: int) -> Words:
    return (x << np.uint32(n)) | (x >> np.uint32(32 - n))


def _mix(h: Words, k: Words) -> Words:
    k = _rotl(k * _C1, 15) * _C2
    return _rotl(h ^ k, 13) * np.uint32(5) + np.uint32(0xE6546B64)


def fmix32(h: Words) -> Words:
    """Murmur3's finaliser."""
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return h ^ (h >> np.uint32(16))


def words(seed: int, position: Ints, token: Ints, domain: int = 0) -> Words:
    """murmur3 of the halves of the seed, the low half of the row's position, the token; 16 bytes."""
    position, token = np.broadcast_arrays(position, token)
    with np.errstate(over="ignore"):
        h = np.full(position.shape, domain, np.uint32)
        for half in (seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF):
            h = _mix(h, np.full(position.shape, half, np.uint32))
        h = _mix(h, (position.astype(np.int64) & 0xFFFFFFFF).astype(np.uint32))
        h = _mix(h, (token.astype(np.int64) & 0xFFFFFFFF).astype(np.uint32))
        return fmix32(h ^ np.uint32(16))


def uniform(seed: int, position: Ints, token: Ints) -> npt.NDArray[np.float32]:
    """vLLM's: (h + 0.5) 2^-32, rounded once to float32."""
    return ((words(seed, position, token).astype(np.float64) + 0.5) * 2.0**-32).astype(np.float32)


def gumbel(seed: int, position: Ints, token: Ints) -> Floats:
    """vLLM's: -log(-log(1 - u)). The tail that wins comes from u near 0, where float32 is finest."""
    with np.errstate(divide="ignore"):
        noise: Floats = -np.log(-np.log1p(-uniform(seed, position, token).astype(np.float64)))
    return noise


def gumbel_fp64(seed: int, position: Ints, token: Ints) -> Floats:
    """vLLM's with use_fp64_gumbel: -log(-log u) with u of 53 bits, from two hashes of one key."""
    high, low = (words(seed, position, token, domain).astype(np.uint64) for domain in (0x9E3779B9, 0))
    u = ((((high << np.uint64(32)) | low) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    noise: Floats = -np.log(-np.log(np.minimum(u, 1 - 2.0**-53)))
    return noise


def gumbel_sglang(seed: int, position: Ints, token: Ints) -> Floats:
    """SGLang's: -log(-log x) with x = h / (2^32 - 1) in float64, log x at most -2^-32."""
    x = words(seed, position, token).astype(np.float64) / (2.0**32 - 1)
    with np.errstate(divide="ignore"):
        noise: Floats = -np.log(np.clip(-np.log(x), 2.0**-32, np.finfo(np.float64).max))
    return noise
