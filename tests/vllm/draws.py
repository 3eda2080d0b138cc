"""vLLM's own kernels of model runner V2 in Triton's interpreter against the streams here: hashes, uniforms, noise, verified tokens.

    python tests/vllm/draws.py [--steps 2]

Needs what tests/vllm/second.py needs; prints one JSON object, or says what is missing and exits 3. `equal` counts bit for bit; noise in
float32 is made by the logarithm of the machine, so that its widest difference is told.
"""

import argparse
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.made.stand_ins import MISSING
from tests.vllm.second import BATCH, VOCAB, K, vllm_on_triton

SEEDS, PLACES = (7, -3, (1 << 40) + 5, 20_261_130), (0, 5, 77, 100_000)


def kernels() -> dict[str, Any]:
    """Words, uniforms and noise of 4 keys and 64 tokens, each with what is expected of it."""
    import numpy as np
    import torch
    from vllm.triton_utils import tl, triton
    from vllm.v1.worker.gpu.sample import gumbel

    from sdtrace.verify.streams import murmur, philox

    globals().update(tl=tl, gumbel=gumbel)  # the interpreter looks names of a kernel up there

    def drawn(h: Any, u: Any, r: Any, seeds: Any, places: Any, n: tl.constexpr) -> None:
        i = tl.program_id(0)
        seed, place, token = tl.load(seeds + i), tl.load(places + i), tl.arange(0, n)
        tl.store(h + i * n + token, gumbel.murmur3_hash32(seed, place, token).to(tl.int64))
        tl.store(u + i * n + token, gumbel.murmur3_uniform32(seed, place, token))
        tl.store(r + i * n + token, gumbel.tl_rand32(seed, place + token, includes_zero=False))

    def noise(out: Any, seeds: Any, places: Any, n: Any, wide: tl.constexpr) -> None:
        i, j = tl.program_id(0), tl.program_id(1)
        token = j + tl.arange(0, 1)
        seed, place, zero = tl.load(seeds + i), tl.load(places + i), tl.zeros((1,), tl.float32)
        value, _ = gumbel.gumbel_noised_argmax(
            zero, token, token >= 0, seed, place, 1.0, IS_DRAFTING=False, USE_FP64=wide
        )
        tl.store(out + i * n + j, value)

    rows, n = len(SEEDS), 64
    seeds, places = torch.tensor(SEEDS), torch.tensor(PLACES)
    h, u, r = torch.zeros(rows, n, dtype=torch.int64), torch.zeros(rows, n), torch.zeros(rows, n)
    triton.jit(drawn)[(rows,)](h, u, r, seeds, places, n)
    single, double = torch.zeros(rows, n), torch.zeros(rows, n, dtype=torch.float64)
    triton.jit(noise)[(rows, n)](single, seeds, places, n, False)
    triton.jit(noise)[(rows, n)](double, seeds, places, n, True)
    token = np.arange(n)
    made = [
        [f(seed, np.full(n, place), token) for seed, place in zip(SEEDS, PLACES, strict=True)]
        for f in (murmur.words, murmur.uniform, murmur.gumbel, murmur.gumbel_fp64)
    ]
    rand = [philox.uniform(seed, place + token) for seed, place in zip(SEEDS, PLACES, strict=True)]
    return {
        "n": rows * n,
        "words": int((np.array(made[0]) == h.numpy()).sum()),
        "uniforms": int((np.array(made[1]) == u.numpy()).sum()),
        "tests": int((np.array(rand) == r.numpy()).sum()),
        "noise": float(np.abs(np.array(made[2]) - single.numpy()).max()),
        "noise_fp64": float(np.abs(np.array(made[3]) - double.numpy()).max()),
    }


def tokens(steps: int, fp64: bool) -> dict[str, int]:
    """Tokens that `rejection_sample` emits for one-hot drafts, explained by the law, and by that of the next seed."""
    import numpy as np
    import torch
    from vllm.triton_utils import tl
    from vllm.v1.worker.gpu.spec_decode import rejection_sampler_utils as utils

    from sdtrace.verify.streams import murmur
    from sdtrace.verify.streams.laws import Known, gumbel_argmax

    utils.tldevice = SimpleNamespace(log1p=lambda x: tl.log(1.0 + x))  # the interpreter has no libdevice
    rng = torch.Generator().manual_seed(5)
    seeds = torch.randint(-(2**62), 2**62, (BATCH,), generator=rng)
    each, slots = K + 1, torch.arange(BATCH)
    local, cu = torch.arange(each, dtype=torch.int32).repeat(BATCH), torch.arange(0, BATCH * each + 1, each)
    at = torch.full((BATCH,), 10, dtype=torch.int64)
    emitted: list[list[tuple[int, int, Any]]] = [[] for _ in range(BATCH)]
    for _ in range(steps):
        target = torch.randn(BATCH * each, VOCAB, generator=rng) * 2.0
        x = (target.view(BATCH, each, VOCAB)[:, :K] + torch.randn(BATCH, K, VOCAB, generator=rng)).argmax(-1)
        given = torch.cat([torch.ones(BATCH, 1, dtype=torch.int64), x], dim=1).view(-1)
        place = at.repeat_interleave(each) + local
        sampled, count = utils.rejection_sample(
            target, None, given, cu, place, slots, slots.repeat_interleave(each), local, torch.ones(BATCH), seeds, K, use_fp64=fp64
        )  # fmt: skip
        log_p = torch.log_softmax(target.double(), -1).view(BATCH, each, VOCAB).numpy()
        for b in range(BATCH):
            emitted[b] += [(int(at[b]) + j, int(sampled[b, j]), log_p[b, j]) for j in range(int(count[b]))]
        at += count.long()
    noise, explained, others, total = murmur.gumbel_fp64 if fp64 else murmur.gumbel, 0, 0, 0
    for seed, rows in zip(seeds.tolist(), emitted, strict=True):
        place, y, log_p = np.array([r[0] for r in rows]), np.array([r[1] for r in rows]), np.array([r[2] for r in rows])
        order = np.argsort(-log_p, axis=1)
        top = np.take_along_axis(log_p, order, axis=1)
        p, found = np.exp(top), (order == y[:, None]).argmax(axis=1)
        known = Known(order, top, p, p, np.ones(p.shape, bool), found, y, log_p[np.arange(len(y)), y])
        explained += int((gumbel_argmax(known, seed, place, 1e-4, noise).answer == 1).sum())
        others += int((gumbel_argmax(known, seed + 1, place, 1e-4, noise).answer == 1).sum())
        total += len(y)
    return {"tokens": total, "explained": explained, "by_the_next_seed": others}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=2)
    given = parser.parse_args()
    try:
        vllm_on_triton()
        import vllm
        from vllm.v1.worker.gpu.spec_decode import rejection_sampler_utils  # noqa: F401
    except Exception as error:  # whatever is too old, too new or not there: nothing was compared yet
        print(f"vLLM's files do not import here: {type(error).__name__}: {error}")
        raise SystemExit(MISSING) from None
    found = kernels() | {"float32": tokens(given.steps, False), "fp64": tokens(1, True)}
    print(json.dumps({"vllm": vllm.__version__} | found))


if __name__ == "__main__":
    main()
