"""Wrong rules: levels, decisions, weights, uniforms and emissions of engines with a known fault."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tests.made.laws import (
    Decide,
    Generator,
    Outcome,
    Table,
    block,
    by_level,
    count_accepted,
    greedy,
    last_token,
    over,
    ratio_level,
    residual,
    same_token,
)
from tests.made.world import Rows, World, at, draw, one_hot


def neighbour(rows: Rows, shift: int) -> Rows:
    """Each row replaced by the one `shift` further in the engine's flat batch; ends wrap around."""
    flat = rows.reshape(-1, rows.shape[-1])
    return np.roll(flat, -shift, axis=0).reshape(rows.shape)


def inverted(world: World) -> Rows:
    """r <= q/p."""
    return over(world.q, world.p[:, :-1])


def lenient(factor: float) -> Table:
    """r <= p / (factor * q): Leviathan et al. 2023, appendix A.5."""
    return lambda world: ratio_level(world) / np.float32(factor)


def above(threshold: float) -> Table:
    """Also accept whatever has p >= threshold: SGLang's threshold_single."""
    return lambda world: np.where(world.p[:, :-1] >= threshold, np.float32(2), ratio_level(world))


def constant(rate: float) -> Table:
    """r <= rate, whatever p and q: vLLM's rejection_sample_method="synthetic"."""
    return lambda world: np.full(world.q.shape, rate, np.float32)


def coin(rate: float) -> Decide:
    """Accept with a constant probability by a coin that is not logged."""
    return lambda world, rng: rng.random(world.x.shape) < rate


def flips(share: float) -> Decide:
    """The law's decision, inverted at random."""
    lawful = by_level(ratio_level)
    return lambda world, rng: lawful(world, rng) ^ (rng.random(world.x.shape) < share)


def draft_row(shift: int) -> Table:
    """p_j(x) / q_{j+shift}(x)."""
    return lambda world: over(world.p[:, :-1], neighbour(world.q, shift))


def draft_value(shift: int) -> Decide:
    """p_j(x_j) / q_{j+shift}(x_{j+shift}): rows gathered rightly, values indexed wrongly."""

    def decide(world: World, rng: Generator) -> np.ndarray:
        values = at(world.q, world.x)
        shifted = np.roll(values.ravel(), -shift).reshape(values.shape)
        return np.asarray(world.r * shifted <= at(world.p[:, :-1], world.x))

    return decide


def draft_row_residual(shift: int) -> Table:
    """max(0, p_j - q_{j+shift})."""
    return lambda world: np.maximum(world.p[:, :-1] - neighbour(world.q, shift), np.float32(0))


def target_row(shift: int) -> Table:
    """p_{j+shift}(x) / q_j(x)."""
    return lambda world: over(neighbour(world.p, shift)[:, :-1], world.q)


def tempered_rows(rows: Rows, temperature: float) -> Rows:
    """Rows raised to 1/temperature and renormalised."""
    raised = rows.astype(float) ** (1 / temperature)
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True), dtype=np.float32)


def tempered(temperature: float) -> Table:
    """The decision sees the target at a temperature that neither the log nor the recovered token knows of."""
    return lambda world: over(tempered_rows(world.p[:, :-1], temperature), world.q)


def tempered_draft(temperature: float) -> Table:
    """The decision sees the draft at a temperature that it was not drawn with."""
    return lambda world: over(world.p[:, :-1], tempered_rows(world.q, temperature))


def without_x(world: World) -> Rows:
    """p without the rejected token."""
    return world.p[:, :-1] * (1 - one_hot(world.x, world.q.shape[-1]))


def best(world: World) -> Rows:
    """All weight on argmax p."""
    return one_hot(np.argmax(world.p[:, :-1], axis=-1), world.q.shape[-1])


def one_draw_a_step(world: World, rng: Generator) -> World:
    """Every position of a step is tested with the same uniform."""
    return replace(world, r=np.repeat(world.r[:, :1], world.r.shape[1], axis=1))


def one_sequence(world: World, rng: Generator) -> World:
    """Every request draws the same uniforms: the generator is seeded anew for each."""
    sequence = rng.random((world.step.max() + 1, world.r.shape[1]), dtype=np.float32)
    return replace(world, r=sequence[world.step])


def top_rows(rows: Rows, k: int) -> Rows:
    """The k most probable tokens of each row, renormalised."""
    least = -np.partition(-rows, k - 1, axis=-1)[..., k - 1 : k]
    kept = np.where(rows >= least, rows, 0)
    return np.asarray(kept / kept.sum(axis=-1, keepdims=True), dtype=np.float32)


def draft_at(temperature: float) -> Callable[[World, Generator], World]:
    """Drafts are drawn at another temperature than q says."""
    return lambda world, rng: replace(world, x=draw(tempered_rows(world.q, temperature), rng))


def raw_draft(k: int) -> Callable[[World, Generator], World]:
    """p and the draft are cut to their top k, q is handed over as it was before: transformers#47932."""
    return lambda world, rng: replace(world, p=top_rows(world.p, k), x=draw(top_rows(world.q, k), rng))


def biased_draws(power: float) -> Callable[[World, Generator], World]:
    """The generator leans to small values, and the decisions follow it."""
    return lambda world, rng: replace(world, r=world.r**power)


def same_noise(world: World, rng: Generator) -> Outcome:
    """The race that drew the draft is run again for the recovered token: vllm#47386."""
    race = np.maximum(rng.standard_exponential(world.q.shape, dtype=np.float32), np.float32(1e-30))
    x = np.argmax(world.q / race, axis=-1)
    world.x[:] = x  # the draft is drawn here, with the noise that is kept
    accept = world.r <= at(ratio_level(world), x)
    n_a = count_accepted(accept, world.verified)
    every, width = np.arange(len(n_a)), x.shape[1]
    where = every, np.minimum(n_a, width - 1)
    rejected = np.argmax(residual(world)[where] / race[where], axis=-1)
    y = np.where(n_a < world.verified, rejected, draw(world.p[every, n_a], rng))
    return Outcome(accept, n_a, y, accept)


def block_lenient(factor: float) -> Callable[[World, Generator], Outcome]:
    """Block verification of draws that are too small."""
    return lambda world, rng: block(replace(world, r=world.r * np.float32(factor)), rng)


def flat_target(share: float) -> Callable[[World, Generator], World]:
    """Target rows that give every token the same probability."""

    def change(world: World, rng: Generator) -> World:
        p = world.p.copy()
        p[rng.random(p.shape[:2]) < share] = np.float32(1 / p.shape[-1])
        return replace(world, p=p)

    return change


def certain_target(world: World, rng: Generator) -> World:
    """Target rows that are one-hot although the temperature is 1."""
    return replace(world, p=one_hot(np.argmax(world.p, axis=-1), world.p.shape[-1]))


def loop(period: int) -> Callable[[World, Generator], World]:
    """From step 8 on both models agree on a loop of `period` tokens, and say so with 0.98."""

    def change(world: World, rng: Generator) -> World:
        width = world.x.shape[1]
        place = (world.step * (width + 1))[:, None] + np.arange(width + 1)
        token = 10 + place % period
        looping = world.step >= 8
        p, q, x = world.p.copy(), world.q.copy(), world.x.copy()
        sharp = (0.98 * one_hot(token, p.shape[-1]) + 0.02 * world.p).astype(np.float32)
        p[looping] = sharp[looping]
        q[looping], x[looping] = p[looping, :-1], token[looping, :-1]
        return replace(world, p=p, q=q, x=x)

    return change


def keep_loop(world: World, outcome: Outcome, rng: Generator) -> Outcome:
    """The token after a looping block is the next of the loop, as it is 98 times in 100."""
    rows = world.p[np.arange(len(outcome.n_a)), outcome.n_a]
    return replace(outcome, y=np.where(world.step >= 8, np.argmax(rows, axis=-1), outcome.y))


def skip_rejected(world: World, outcome: Outcome, rng: Generator) -> Outcome:
    """Accepted tokens are counted and gathered by the mask, holes and all."""
    inside = outcome.accept & (np.arange(world.x.shape[1]) < world.verified[:, None])
    n_a = inside.sum(axis=1)
    y = last_token(world, n_a, residual(world), rng)
    outputs = [[*world.x[i][inside[i]].tolist(), int(y[i])] for i in range(len(y))]
    return replace(outcome, n_a=n_a, y=y, outputs=outputs)


def keep_rejected(world: World, outcome: Outcome, rng: Generator) -> Outcome:
    """Everything up to the last accepted token is kept, rejected ones in between too."""
    width = world.x.shape[1]
    inside = outcome.accept & (np.arange(width) < world.verified[:, None])
    n_a = np.where(inside.any(axis=1), width - np.argmax(inside[:, ::-1], axis=1), 0)
    return replace(outcome, n_a=n_a, y=last_token(world, n_a, residual(world), rng))


def wide(world: World) -> np.ndarray:
    """Where the two best target logits are more than 1 apart: (n, K+1)."""
    top = np.sort(np.log(np.maximum(world.p, np.float32(1e-30))), axis=-1)
    return np.asarray(top[..., -1] - top[..., -2] > 1)


def greedy_flips(world: World, rng: Generator) -> Outcome:
    """A tenth of the decisions between tokens that are far apart come out wrong."""
    chosen = np.argmax(world.p, axis=-1)
    second = np.argsort(world.p, axis=-1)[..., -2]
    wrong = wide(world) & (rng.random(chosen.shape) < 0.1)
    chosen[:, :-1] = np.where(wrong[:, :-1] & (world.x != chosen[:, :-1]), world.x, chosen[:, :-1])
    chosen = np.where(wrong & (chosen == np.argmax(world.p, axis=-1)), second, chosen)
    return replace(same_token(world, chosen), lawful=greedy(world, rng).accept)


def greedy_samples(world: World, rng: Generator) -> Outcome:
    """The target is sampled at temperature 1 although the request says 0."""
    return replace(same_token(world, draw(world.p, rng)), lawful=greedy(world, rng).accept)
