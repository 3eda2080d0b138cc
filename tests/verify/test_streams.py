"""Random streams against published vectors, and laws of seeded requests against engines that draw so."""

import numpy as np
import pytest

from sdtrace.verify.streams import mersenne, murmur, philox
from sdtrace.verify.streams.laws import Known, gumbel_argmax, inverse_cdf, plain_argmax

#: Random123, tests/kat_vectors: philox4x32, ten rounds.
VECTORS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), VECTORS)
def test_philox(counter: tuple[int, ...], key: tuple[int, int], words: tuple[int, ...]) -> None:
    assert tuple(philox.philox(np.array(counter, np.uint32), key).tolist()) == words


def test_uniforms_are_uniform_and_keyed() -> None:
    drawn = philox.uniform(7, np.arange(20_000))
    assert 0.49 < drawn.mean() < 0.51
    assert drawn.min() >= philox.STEP
    assert drawn.max() <= 1
    assert (drawn != philox.uniform(8, np.arange(20_000))).mean() > 0.99
    assert (drawn != philox.uniform(7 + (1 << 32), np.arange(20_000))).mean() > 0.99


def plain_murmur3(data: bytes, seed: int) -> int:
    """MurmurHash3_x86_32 as Appleby wrote it, for whole words."""
    h = seed
    for i in range(0, len(data), 4):
        k = int.from_bytes(data[i : i + 4], "little") * 0xCC9E2D51 & 0xFFFFFFFF
        k = ((k << 15 | k >> 17) & 0xFFFFFFFF) * 0x1B873593 & 0xFFFFFFFF
        h ^= k
        h = ((h << 13 | h >> 19) & 0xFFFFFFFF) * 5 + 0xE6546B64 & 0xFFFFFFFF
    h ^= len(data)
    h = (h ^ h >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    h = (h ^ h >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return h ^ h >> 16


def test_murmur() -> None:
    """Published: the empty text is 0, "test" is 0xba6bd213 (seed 0); ours is the same function of four words."""
    assert plain_murmur3(b"", 0) == 0
    assert plain_murmur3(b"test", 0) == 0xBA6BD213
    seed, position, token = 0x1234567890ABCDEF, 77, 151_000
    data = b"".join(w.to_bytes(4, "little") for w in (seed & 0xFFFFFFFF, seed >> 32, position, token))
    assert murmur.words(seed, np.array([position]), np.array([token]))[0] == plain_murmur3(data, 0)


def test_noise_as_the_kernels_of_vllm_make_it() -> None:
    """vLLM 0.32's `gumbel_noised_argmax` of logits 0 in Triton's interpreter (tests/vllm/draws.py): float32, then float64."""
    single = [-0.2013542801141739, -0.9501477479934692, -1.4677770137786865, 0.8368467092514038, 0.22067397832870483]
    double = [0.9220944538685344, 0.2218398762871706, 0.5517848375310324, 1.1108848944404996, 1.4258509112690705]
    key = (1 << 40) + 5, np.full(5, 77), np.arange(5)
    assert murmur.gumbel(*key) == pytest.approx(single, abs=1e-5)
    assert murmur.gumbel_fp64(*key) == pytest.approx(double, abs=1e-12)


def test_gumbel_noise_has_its_moments() -> None:
    noise = murmur.gumbel(3, np.arange(200)[:, None], np.arange(1000)[None, :])
    assert noise.mean() == pytest.approx(0.5772, abs=0.02)
    assert noise.std() == pytest.approx(1.2825, abs=0.02)


def test_mersenne_twister_as_the_standard_promises() -> None:
    assert mersenne.words(5489, 10_000)[-1] == 4123659995
    drawn = mersenne.words(42, 4).astype(float)
    assert mersenne.doubles(42, 2)[1] == (drawn[2] + drawn[3] * 2.0**32) * 2.0**-64


def rows(n: int, v: int, rng: np.random.Generator) -> np.ndarray:
    logits = rng.uniform(0.8, 3.0, (n, 1)) * rng.standard_exponential((n, v))
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))


def known(log_p: np.ndarray, y: np.ndarray, k: int) -> Known:
    order = np.argsort(-log_p, axis=1)[:, :k]
    listed = np.take_along_axis(log_p, order, axis=1)
    at = order == y[:, None]
    place = np.where(at.any(axis=1), at.argmax(axis=1), k)
    p = np.exp(listed)
    return Known(order, listed, p, p, np.ones(p.shape, bool), place, y, log_p[np.arange(len(y)), y])


def speculated(log_p: np.ndarray, seed: int, rng: np.random.Generator, fault: str = "") -> np.ndarray:
    """vLLM V2 with one-hot drafts: a draft at each position but each fifth; a drafted token that is rejected gives way to the argmax of the
    others."""
    n, v = log_p.shape
    position = np.arange(n)
    noise = murmur.gumbel(seed + (fault == "stream"), position[:, None], np.arange(v)[None, :])
    u = philox.uniform(seed + (fault == "stream"), position)
    draft = np.argmax(log_p + 0.7 * rng.standard_normal((n, v)), axis=1)
    shown = np.roll(log_p, 1, axis=0) if fault == "stale" else log_p
    p = np.exp(shown[position, draft])
    accept = (u < p) | ((rng.random(n) < 0.2) & (fault == "forced"))
    without = shown + noise
    without[position, draft] = -np.inf
    token = np.where(accept, draft, without.argmax(axis=1))
    return np.asarray(np.where(position % 5 == 4, (shown + noise).argmax(axis=1), token))


@pytest.mark.one_of(3)
@pytest.mark.parametrize(("fault", "least"), [("", 0), ("forced", 3), ("stale", 100), ("stream", 30)])
def test_vllm_tokens_are_explained_or_contradicted(fault: str, least: int) -> None:
    rng = np.random.default_rng(5)
    log_p = rows(2000, 200, rng)
    y = speculated(log_p, 99, rng, fault)
    found = gumbel_argmax(known(log_p, y, 12), 99, np.arange(2000), 0.01)
    wrong = int((found.answer == -1).sum())
    assert wrong >= least
    assert (wrong == 0) == (fault == "")
    assert int((found.answer == 1).sum()) == 2000 - wrong


@pytest.mark.parametrize("fault", ["", "stream", "late"])
def test_sglang_tokens_are_explained_or_contradicted(fault: str) -> None:
    rng = np.random.default_rng(8)
    log_p = rows(600, 100, rng)
    position = np.arange(600) + (fault == "late")
    noise = murmur.gumbel_sglang(7 + (fault == "stream"), position[:, None], np.arange(100)[None])
    found = plain_argmax(known(log_p, (log_p + noise).argmax(axis=1), 15), 7, np.arange(600), 0.002)
    assert (int((found.answer == -1).sum()) > 100) == (fault != "")
    assert (found.answer == -1).any() == (fault != "")


@pytest.mark.parametrize("fault", ["", "stream", "late"])
def test_llamacpp_tokens_are_explained_or_contradicted(fault: str) -> None:
    rng = np.random.default_rng(6)
    log_p = rows(600, 100, rng)
    order = np.argsort(-log_p, axis=1)
    running = np.cumsum(np.exp(np.take_along_axis(log_p, order, axis=1)), axis=1)
    u = mersenne.doubles(7 + (fault == "stream"), 601)[(fault == "late") :][:600]
    y = order[np.arange(600), np.minimum((running < u[:, None]).sum(axis=1), 99)]
    found = inverse_cdf(known(log_p, y, 15), 7, 0, 0.002)
    assert (int((found.answer == -1).sum()) > 100) == (fault != "")
    assert (found.answer == -1).any() == (fault != "")
