"""Correct engines: how each law decides and what it emits, in float32 as engines do. Formulas: the papers named.

A law is a level for every token (accepted iff r <= level) and the weights that a recovered token is drawn with; where
it cannot be said so (match, greedy, block) it is a function of its own. One-hot and tree-coin on a chain are the ratio
law over one-hot draft rows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tests.made.world import Flags, Ints, Rows, World, at, draw

Generator = np.random.Generator
Table = Callable[[World], Rows]
Decide = Callable[[World, Generator], Flags]


@dataclass(frozen=True)
class Outcome:
    """`accept`: (n, K) decisions, read up to `n_a`; `y`: the token after the block; `lawful`: as the law decides.

    `outputs` overrides what is appended, by step, where it is not x[:n_a] and y.
    """

    accept: Flags
    n_a: Ints
    y: Ints
    lawful: Flags
    outputs: list[list[int]] | None = None


def ratio_level(world: World) -> Rows:
    """p / q: Leviathan et al. 2023, Chen et al. 2023."""
    return over(world.p[:, :-1], world.q)


def over(p: Rows, q: Rows) -> Rows:
    """p / q in float32; a token with q = 0 is never drafted, its level is infinite."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(q > 0, p / q, np.float32(np.inf)), dtype=np.float32)


def residual(world: World) -> Rows:
    """max(0, p - q), not normalised."""
    return np.asarray(np.maximum(world.p[:, :-1] - world.q, np.float32(0)))


def by_level(level: Table) -> Decide:
    """Accept iff r <= level(x)."""
    return lambda world, rng: np.asarray(world.r <= at(level(world), world.x))


def count_accepted(accept: Flags, verified: Ints) -> Ints:
    """Accepted tokens before the first rejection, among the verified ones."""
    going = np.cumprod(accept & (np.arange(accept.shape[1]) < verified[:, None]), axis=1)
    return np.asarray(going.sum(axis=1), dtype=np.int64)


def last_token(world: World, n_a: Ints, weights: Rows, rng: Generator) -> Ints:
    """Drawn with `weights` (n, K, V) at the first rejection, from p after a fully accepted block (or no draft)."""
    every, width = np.arange(len(n_a)), world.x.shape[1]
    rejected = weights[every, np.minimum(n_a, width - 1)]
    # p = q leaves nothing over, and nothing is rejected there but by rounding or by a fault
    usable = (n_a < world.verified) & (rejected.sum(axis=1) > 0)
    row = np.where(usable[:, None], rejected, world.p[every, n_a])
    return draw(row, rng)


def tokenwise(world: World, decide: Decide, weights: Table, rng: Generator) -> Outcome:
    """Position by position until the first rejection."""
    accept = decide(world, rng)
    n_a = count_accepted(accept, world.verified)
    lawful = by_level(ratio_level)(world, rng)
    return Outcome(accept, n_a, last_token(world, n_a, weights(world), rng), lawful)


def ratio(world: World, rng: Generator) -> Outcome:
    """Rejection sampling; with one-hot draft rows also the laws one-hot and tree-coin (on a chain)."""
    return tokenwise(world, by_level(ratio_level), residual, rng)


def same_token(world: World, chosen: Ints) -> Outcome:
    """Accept while the drafted token is the chosen one; the chosen one is emitted either way."""
    accept = world.x == chosen[:, :-1]
    n_a = count_accepted(accept, world.verified)
    return Outcome(accept, n_a, chosen[np.arange(len(n_a)), n_a], accept)


def match(world: World, rng: Generator) -> Outcome:
    """The target draws its own token (TensorRT-LLM#15775, llama.cpp server)."""
    return same_token(world, draw(world.p, rng))


def greedy(world: World, rng: Generator) -> Outcome:
    """The target's most probable token."""
    return same_token(world, np.argmax(world.p, axis=-1))


def block(world: World, rng: Generator) -> Outcome:
    """Block verification: Sun et al. 2024 (arXiv 2403.10444), as in vLLM's rejection_sample_method="block"."""
    n, width = world.x.shape
    ratio_x = at(ratio_level(world), world.x)
    reach = np.ones((n, width + 1), np.float32)
    n_a = np.zeros(n, np.int64)
    for i in range(1, width + 1):
        reach[:, i] = np.minimum(np.float32(1), reach[:, i - 1] * ratio_x[:, i - 1])
        level = np.where(i == world.verified, reach[:, i], _block_level(world, reach[:, i], i))
        n_a = np.where((i <= world.verified) & (world.r[:, i - 1] <= level), i, n_a)
    weights = np.maximum(reach[:, :-1, None] * world.p[:, :-1] - world.q, np.float32(0))
    accept = np.arange(width) < n_a[:, None]
    return Outcome(accept, n_a, last_token(world, n_a, weights, rng), accept)


def _block_level(world: World, reach: Rows, i: int) -> Rows:
    """h_i for a block that does not end at i."""
    if i == world.x.shape[1]:
        return reach
    excess = np.maximum(reach[:, None] * world.p[:, i] - world.q[:, i], np.float32(0)).sum(axis=1, dtype=np.float32)
    below = excess + (np.float32(1) - reach)
    return np.where(below > 0, excess / np.where(below > 0, below, np.float32(1)), np.float32(1))


LAWS: dict[str, Callable[[World, Generator], Outcome]] = {
    "ratio": ratio,
    "one-hot": ratio,
    "tree-coin": ratio,
    "match": match,
    "greedy": greedy,
    "block": block,
}


def distance(world: World, tested: Flags, chance: npt.NDArray[np.floating], weights: Rows) -> float:
    """Mean total variation between what a tested slot emits and p, exactly: rows, not draws.

    `chance`: (n, K, V) probability to accept each token. The emitted law is q * chance, plus what was rejected spread
    by `weights` (normalised).
    """
    p, q = world.p[:, :-1][tested].astype(float), world.q[tested].astype(float)
    kept = q * chance[tested]
    spread = weights[tested].astype(float)
    spread = np.where(spread.sum(axis=1, keepdims=True) > 0, spread, p)
    emitted = kept + (1 - kept.sum(axis=1, keepdims=True)) * spread / spread.sum(axis=1, keepdims=True)
    return float(0.5 * np.abs(emitted - p).sum(axis=1).mean())
