"""What two models say, in full: rows over the vocabulary, and the drafts and uniforms drawn with them. SYNTHETIC.

Rows do not depend on the text, so a whole trace is a few arrays. n steps, K drafted tokens at most, V tokens. Rows are
float32, as an engine holds them; the token `NEVER` has probability 0 in all of them and serves as end of sequence.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

NEVER = 2


@dataclass(frozen=True)
class Shape:
    """How much traffic, and of what kind. `tau` is inclusive at both ends; `plain` is the share of steps without draft.

    `trim`: steps verify fewer tokens than were drafted, as decided before anything was seen. `forced`: share of one-hot
    target rows, as a grammar makes them. `draft_temperature` applies to the drafter alone, and q says so.
    """

    tested: int = 300
    vocab: int = 256
    tau: tuple[int, int] = (4, 4)
    steps: tuple[int, int] = (20, 40)
    trim: bool = False
    plain: float = 0.0
    forced: float = 0.0
    draft_temperature: float = 1.0
    argmax_draft: bool = False


@dataclass(frozen=True)
class World:
    """p: (n, K+1, V), q: (n, K, V), x and r: (n, K), the rest: n entries.

    `verified` <= `drafted` <= K. Where the draft is an argmax, q is one-hot at x, which is what the engine uses.
    """

    p: Rows
    q: Rows
    x: Ints
    r: Rows
    drafted: Ints
    verified: Ints
    request: Ints
    step: Ints


def draw(weights: npt.NDArray[np.floating], rng: np.random.Generator) -> Ints:
    """One index a row with chance proportional to its weight: the exponential race of vLLM's sampler."""
    race = np.maximum(rng.standard_exponential(weights.shape, dtype=np.float32), np.float32(1e-30))
    return np.asarray(np.argmax(weights / race, axis=-1), dtype=np.int64)


def softmax(logits: npt.NDArray[np.floating]) -> Rows:
    """float32 rows that sum to 1 within its precision."""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True), dtype=np.float32)


def at(rows: npt.NDArray[np.floating], token: Ints) -> npt.NDArray[np.floating]:
    """The entry of each row at its token."""
    return np.asarray(np.take_along_axis(rows, token[..., None], axis=-1)[..., 0])


def one_hot(token: Ints, vocab: int) -> Rows:
    """Rows with all weight on one token."""
    return np.asarray(np.arange(vocab) == token[..., None], dtype=np.float32)


def pair(
    difficulty: npt.NDArray[np.floating],
    vocab: int,
    rng: np.random.Generator,
    sharpness: tuple[float, float] = (1.5, 4.5),
) -> tuple[Rows, Rows]:
    """Target logits and draft logits, float32, of shape difficulty.shape + (V,): peaked, and near each other.

    Gaussian logits at a scale that varies from row to row, so that some rows are nearly certain and some wide open.
    """
    shape = (*difficulty.shape, vocab)
    sharp = rng.uniform(*sharpness, difficulty.shape).astype(np.float32)[..., None]
    target = sharp * rng.standard_normal(shape, dtype=np.float32)
    draft = target + difficulty[..., None].astype(np.float32) * rng.standard_normal(shape, dtype=np.float32)
    target[..., NEVER] = draft[..., NEVER] = -np.inf
    return target, draft


def traffic(shape: Shape, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Request and step number of every step, for about `tested` decisions (2.6 a step at tau 4)."""
    per_step = max(1.0, min(2.6, 0.65 * (sum(shape.tau) / 2)) * (1 - shape.plain))
    total, counts = shape.tested / per_step, [0]
    mean = sum(shape.steps) / 2
    counts = [int(rng.integers(shape.steps[0], shape.steps[1] + 1)) for _ in range(max(3, round(total / mean)))]
    request = np.repeat(np.arange(len(counts)), counts)
    return request, np.concatenate([np.arange(count) for count in counts])


def lengths(shape: Shape, n: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Drafted and verified tokens of each step."""
    drafted = rng.integers(shape.tau[0], shape.tau[1] + 1, n)
    drafted[rng.random(n) < shape.plain] = 0
    verified = rng.integers(np.minimum(1, drafted), drafted + 1) if shape.trim else drafted
    return drafted, verified


def make(shape: Shape, rng: np.random.Generator) -> World:
    """A world of `shape`; overlap of p and q is about 0.7 and depends on the request."""
    request, step = traffic(shape, rng)
    drafted, verified = lengths(shape, len(request), rng)
    width = max(1, shape.tau[1])
    hard = rng.uniform(0.5, 1.3, request.max() + 1)[request]
    difficulty = np.repeat(hard[:, None], width + 1, axis=1)
    target, draft = pair(difficulty, shape.vocab, rng)
    p, q = softmax(target), softmax(draft[:, :width] / shape.draft_temperature)
    forced = rng.random(p.shape[:2]) < shape.forced
    p[forced] = one_hot(np.argmax(p[forced], axis=-1), shape.vocab)
    x = np.argmax(q, axis=-1) if shape.argmax_draft else draw(q, rng)
    q = one_hot(x, shape.vocab) if shape.argmax_draft else q
    return World(p, q, x, rng.random(x.shape, dtype=np.float32), drafted, verified, request, step)
