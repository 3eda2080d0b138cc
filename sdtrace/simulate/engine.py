"""A correct engine of each law, with the places where a fault can take over (Leviathan et al. 2023; Sun et al. 2024)."""

from dataclasses import dataclass

import numpy as np

from sdtrace.schema.arrays import Flags, Ints
from sdtrace.simulate.fault import Fault
from sdtrace.simulate.world import Rows, World, at, draw


@dataclass
class Outcome:
    """`n_a`: accepted tokens a step; `y`: the token after them; `kind`: recovered or bonus; `tested`: (n, K)."""

    n_a: Ints
    y: Ints
    recovered: Flags
    tested: Flags


def play(world: World, law: str, fault: Fault, strength: float, inside: Flags | None = None) -> Outcome:
    """Decide and emit by the law; a fault may change the level, the coin or the weights of recovery, `inside` (n, K) only."""
    here = np.ones(world.x.shape, dtype=bool) if inside is None else inside
    if fault.trim:
        whole = world.verified
        fault.trim(world, strength)
        world.verified = np.where(here[:, -1], np.maximum(world.verified, ~here[:, 0]), whole)
    if law in ("match", "greedy"):
        chosen = np.argmax(world.p, axis=-1) if law == "greedy" else draw(world.p, world.rng)
        if fault.chosen:
            chosen = np.where(np.column_stack((here, here[:, -1])), fault.chosen(world, strength, chosen), chosen)
        accept = world.x == chosen[:, :-1]
        n_a = first_rejection(accept, world.verified)
        y = chosen[np.arange(len(n_a)), n_a]
        return outcome_of(world, n_a, y)
    if law == "block":
        return _block(world, fault, strength, here)
    if law == "fly":
        return _fly(world, fault, strength, here)
    accept = world.r <= _level(world, fault, strength, here)
    if fault.forced:
        accept = np.where(here, fault.forced(world, strength, accept), accept)
    n_a = first_rejection(accept, world.verified)
    every, last = np.arange(len(n_a)), np.minimum(n_a, world.x.shape[1] - 1)
    weights = _weights(world, fault, strength, last, residual(world.p[every, last], world.q[every, last]), here)
    race = np.where(here[every, last][:, None], world.race[every, last], 0) if fault.same_noise else None
    return outcome_of(world, n_a, _last(world, n_a, weights, race, fault.bonus_row * here[:, -1]))


def _level(world: World, fault: Fault, strength: float, here: Flags) -> Rows:
    """The threshold of r: p / q, and a fault's own where it has one."""
    ratio = over(at(world.p[:, :-1], world.x), at(world.q, world.x))
    return np.where(here, fault.level(world, strength), ratio) if fault.level else ratio


def _weights(world: World, fault: Fault, strength: float, last: Ints, lawful: Rows, here: Flags) -> Rows:
    """Of the recovered token: `lawful`, and a fault's own where it has some."""
    if not fault.recover:
        return lawful
    return np.where(here[np.arange(len(last)), last][:, None], fault.recover(world, strength, last, lawful), lawful)


#: What vLLM calls the parameters of FLy, at its defaults but for the window, which must fit into a draft.
FLY = {"fly_window_size": 2, "fly_entropy_threshold": 0.3, "fly_entropy_top_k": 3}


def _fly(world: World, fault: Fault, strength: float, here: Flags) -> Outcome:
    """FLy (vllm/v1/spec_decode/fly.py): a first rejection waits under an open gate; W tokens that the ratio law accepts confirm it."""
    n, k = world.x.shape
    p_x = at(world.p[:, :-1], world.x)
    native = world.r <= _level(world, fault, strength, here)
    best = -np.sort(-world.p[:, :-1], axis=-1)[..., : FLY["fly_entropy_top_k"]].astype(np.float64)
    entropy = -(best * np.log(np.maximum(best, 1e-300))).sum(axis=-1)
    gate = (entropy >= FLY["fly_entropy_threshold"]) & (p_x > 0)
    window = np.full(n, int(FLY["fly_window_size"]))
    if fault.defers:
        opened, shorter = fault.defers(world, gate, int(FLY["fly_window_size"]))
        gate, window = np.where(here, opened, gate), np.where(here[:, -1], shorter, window)
    n_a, pending, on = np.zeros(n, np.int64), np.full(n, -1, np.int64), np.ones(n, dtype=bool)
    for i in range(k):
        alive = on & (i < world.verified)
        waits = alive & (pending >= 0)
        full = waits & native[:, i] & (i - pending == window)
        plain = alive & ~waits & native[:, i]
        deferred = alive & ~waits & ~native[:, i] & gate[:, i] & (i + window < world.verified)
        n_a = np.where(full | plain, i + 1, n_a)
        on &= ~(waits & ~native[:, i]) & ~(alive & ~waits & ~native[:, i] & ~deferred)
        pending = np.where(full, -1, np.where(deferred, i, pending))
    every, last = np.arange(n), np.minimum(n_a, k - 1)
    return outcome_of(world, n_a, _last(world, n_a, residual(world.p[every, last], world.q[every, last]), None))


def first_rejection(accept: Flags, verified: Ints) -> Ints:
    """Accepted tokens before the first rejection, among the verified ones."""
    inside = accept & (np.arange(accept.shape[1]) < verified[:, None])
    return np.asarray(np.cumprod(inside, axis=1).sum(axis=1), dtype=np.int64)


def over(above: Rows, below: Rows) -> Rows:
    """above / below in float32; infinite where below is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(below > 0, above / below, np.float32(np.inf)), dtype=np.float32)


def residual(p: Rows, q: Rows) -> Rows:
    """max(0, p - q), not normalised; p where nothing is left over (nothing is rejected there but by a fault)."""
    left = np.maximum(p - q, np.float32(0))
    return np.asarray(np.where(left.sum(axis=-1, keepdims=True) > 0, left, p))


def _last(world: World, n_a: Ints, weights: Rows, race: Rows | None, off: int | Ints = 0) -> Ints:
    """`race`: noise that is used again, 0 where it is not."""
    bonus = draw(world.p[np.arange(len(n_a)), np.maximum(n_a + off, 0)], world.rng)
    own = race is None or not race.all()
    recovered = draw(weights, world.rng) if own else np.zeros(len(n_a), np.int64)
    if race is not None:
        recovered = np.where(race[:, 0] > 0, np.argmax(weights / np.where(race > 0, race, 1), axis=-1), recovered)
    return np.where(n_a < world.verified, recovered, bonus)


def outcome_of(world: World, n_a: Ints, y: Ints) -> Outcome:
    tested = np.arange(world.x.shape[1]) <= np.minimum(n_a, world.verified - 1)[:, None]
    return Outcome(n_a, y, n_a < world.verified, tested)


def _block(world: World, fault: Fault, strength: float, here: Flags) -> Outcome:
    """h_i = S_i / (S_i + 1 - P_i), h_tau = P_tau; the longest prefix with r_i <= h_i is kept."""
    n, k = world.x.shape
    ratio = over(at(world.p[:, :-1], world.x), at(world.q, world.x))
    scale = np.where(here, np.float32(strength if fault.level else 1.0), np.float32(1.0))
    reach, kept, n_a = np.ones(n, np.float32), np.ones(n, np.float32), np.zeros(n, np.int64)
    for i in range(1, k + 1):
        reach = np.minimum(np.float32(1), reach * ratio[:, i - 1])
        level = reach
        if i < k:
            left = np.maximum(reach[:, None] * world.p[:, i] - world.q[:, i], np.float32(0)).sum(axis=1)
            level = np.where(left > 0, left / np.maximum(left + 1 - reach, np.float32(1e-30)), np.float32(0))
            level = np.where(reach >= 1, np.float32(1), level)
            level = np.where(i == world.verified, reach, level)
        taken = (world.r[:, i - 1] * scale[:, i - 1] <= level) & (i <= world.verified)
        n_a, kept = np.where(taken, i, n_a), np.where(taken, reach, kept)
    every, last = np.arange(n), np.minimum(n_a, k - 1)
    lawful = residual(kept[:, None] * world.p[every, last], world.q[every, last])
    weights = _weights(world, fault, strength, last, lawful, here)
    return outcome_of(world, n_a, _last(world, n_a, weights, None))
