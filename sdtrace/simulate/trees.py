"""Correct engines that try several drafted tokens a node. The record holds one of them: the accepted, or else the first."""

from collections.abc import Callable

import numpy as np

from sdtrace.schema.arrays import Flags, Ints
from sdtrace.simulate.engine import Outcome, first_rejection, outcome_of, residual
from sdtrace.simulate.world import Rows, World, at, draw

Engine = Callable[[World], Outcome]


def coin(children: int) -> Engine:
    """SGLang's target-only kernel: the `children` likeliest under q, one coin against the running sum of their p."""

    def play(world: World) -> Outcome:
        tried = np.argsort(-world.source, axis=-1, kind="stable")[..., :children]
        running = np.cumsum(np.take_along_axis(world.p[:, :-1], tried, axis=-1), axis=-1, dtype=np.float32)
        accepted = world.r[..., None] <= running
        weights = world.p[:, :-1].copy()
        np.put_along_axis(weights, tried, np.float32(0), axis=-1)
        return _walk(world, tried, accepted, weights)

    return play


def under(whole: float, single: float) -> Engine:
    """The same kernel on a chain with its two thresholds: r <= p / `whole`, or p reaches `single`. Not lossless."""

    def play(world: World) -> Outcome:
        world.x = np.argmax(world.source, axis=-1)
        p_x = at(world.p[:, :-1], world.x)
        accepted = (world.r <= p_x / np.float32(whole)) | (p_x >= np.float32(single))
        weights = world.p[:, :-1].copy()
        np.put_along_axis(weights, world.x[..., None], np.float32(0), axis=-1)
        return _walk(world, world.x[..., None], accepted[..., None], weights)

    return play


def in_turn(children: int) -> Engine:
    """SpecInfer (Miao et al. 2024): tokens drawn from q, each against what the ones before it left of p."""

    def play(world: World) -> Outcome:
        left = world.p[:, :-1].copy()
        tried, accepted = [], []
        for _ in range(children):
            x = draw(world.q, world.rng)
            r = world.rng.random(x.shape, dtype=np.float32)
            taken = r * at(world.q, x) <= at(left, x)
            tried.append(x)
            accepted.append(taken)
            world.r = r if len(tried) == 1 else np.where(np.any(accepted[:-1], axis=0) | ~taken, world.r, r)
            left = residual(left, world.q)
            left = left / left.sum(axis=-1, keepdims=True)
        return _walk(world, np.stack(tried, axis=-1), np.stack(accepted, axis=-1), left)

    return play


def _walk(world: World, tried: Ints, accepted: Flags, weights: Rows) -> Outcome:
    """`tried`, `accepted`: (n, K, children); `weights`: (n, K, V) of what is recovered after all were rejected."""
    chosen = np.argmax(accepted, axis=-1)[..., None]
    world.x = np.asarray(np.take_along_axis(tried, chosen, axis=-1)[..., 0])
    n_a = first_rejection(np.asarray(accepted.any(axis=-1)), world.verified)
    every, last = np.arange(len(n_a)), np.minimum(n_a, world.x.shape[1] - 1)
    rejected = weights[every, last]
    row = np.where((n_a < world.verified)[:, None], rejected, world.p[every, n_a])
    return outcome_of(world, n_a, draw(row, world.rng))
