"""Other worlds than the simulator's own, so that figures are not those of one distribution. SYNTHETIC.

`zipf` is `sdtrace simulate`'s; `gaussian` has normal logits, a mean overlap of 0.77 and a mean variance b (1 - b) of 0.10 a
position; `mixture` a few hot tokens over a unigram law, and drafters of three qualities.
"""

from collections.abc import Callable

import numpy as np

from sdtrace.simulate.settings import Settings
from sdtrace.simulate.world import Rows, World, make, softmax

Make = Callable[[Settings, list[int], int, np.random.Generator], World]


def gaussian(settings: Settings, count: list[int], first: int, rng: np.random.Generator) -> World:
    """Logits of the target normal, its spread a position's own; of the draft the same with noise that is the request's."""
    n, k, v = sum(count), settings.tau, settings.vocab
    quality = np.repeat(rng.uniform(0.2, 1.3, len(count)), count)[:, None, None].astype(np.float32)
    spread = rng.uniform(2.0, 4.0, (n, k + 1, 1)).astype(np.float32)
    target = spread * rng.standard_normal((n, k + 1, v), dtype=np.float32)
    draft = target[:, :k] + quality * rng.standard_normal((n, k, v), dtype=np.float32)
    return _world(softmax(target), softmax(draft), count, first, rng)


def mixture(settings: Settings, count: list[int], first: int, rng: np.random.Generator) -> World:
    """A unigram law that weighs more or less, Gumbel noise, three hot tokens; sampled at temperature 0.9."""
    n, k, v = sum(count), settings.tau, settings.vocab
    common = np.random.default_rng(settings.seed).normal(0, 2, v).astype(np.float32)
    target = common * rng.uniform(0.2, 0.8, (n, k + 1, 1)).astype(np.float32)
    target = target + rng.gumbel(0, 1.3, (n, k + 1, v)).astype(np.float32)
    hot = rng.integers(v, size=(n, k + 1, 3))
    raised = np.take_along_axis(target, hot, axis=-1) + rng.uniform(2, 9, hot.shape).astype(np.float32)
    np.put_along_axis(target, hot, raised, axis=-1)
    quality = rng.choice(np.array([0.3, 0.8, 1.6], np.float32), (n, k, 1))
    draft = target[:, :k] + quality * rng.standard_normal((n, k, v), dtype=np.float32)
    return _world(softmax(target / np.float32(0.9)), softmax(draft / np.float32(0.9)), count, first, rng)


def _world(p: Rows, q: Rows, count: list[int], first: int, rng: np.random.Generator) -> World:
    shape = q.shape
    race = np.maximum(rng.standard_exponential(shape, dtype=np.float32), np.float32(1e-30))
    request = first + np.repeat(np.arange(len(count)), count)
    step = np.concatenate([np.arange(c) for c in count])
    x, r = np.zeros(shape[:2], np.int64), rng.random(shape[:2], dtype=np.float32)
    return World(p, q, q, race, x, r, np.full(shape[0], shape[1]), request, step, rng)


WORLDS: dict[str, Make] = {"zipf": make, "gaussian": gaussian, "mixture": mixture}
