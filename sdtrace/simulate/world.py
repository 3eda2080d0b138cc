"""What two models say at every position of some steps, and what is drawn from it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sdtrace.schema.arrays import Ints
from sdtrace.simulate.settings import Settings

Rows = npt.NDArray[np.float32]

#: Laws whose draft is a point.
POINT = ("one-hot", "tree-coin", "greedy")


@dataclass
class World:
    """n steps, K drafted tokens, V tokens. p: (n, K+1, V); q: (n, K, V), as handed to the verifier; `source`: what drafts
    are drawn from (q in a correct engine); `race`: their noise; x, r: (n, K); `verified`, `request`, `step`: n entries. `uncut`: p before a
    cut that a faulty engine forgets."""

    p: Rows
    q: Rows
    source: Rows
    race: Rows
    x: Ints
    r: Rows
    verified: Ints
    request: Ints
    step: Ints
    rng: np.random.Generator
    shared: Rows = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    uncut: Rows = field(default_factory=lambda: np.zeros((0, 0, 0), np.float32))
    before: tuple[Rows, Rows] | None = None  #: p and q as models give them, where what is compared is cut


def lengths(rng: np.random.Generator, settings: Settings, first: int, size: int, left: int) -> list[int]:
    """Steps of the next requests: as many as fill `size` steps or are wanted for `left` decisions, at least three."""
    wanted = min(size, int(left / max(1.0, 0.6 * settings.tau)) + 8)
    found: list[int] = []
    while sum(found) < wanted or len(found) < (3 if first == 0 else 1):
        found.append(int(rng.integers(16, 48)))
    return found


def make(settings: Settings, count: list[int], first: int, rng: np.random.Generator) -> World:
    """The world of some requests, before anything is drafted."""
    n, k, v = sum(count), settings.tau, settings.vocab
    request = first + np.repeat(np.arange(len(count)), count)
    step = np.concatenate([np.arange(c) for c in count])
    quality = np.repeat(rng.uniform(0.2, 1.3, len(count)), count)[:, None, None]
    # the logits of a Zipf law with exponent s are s times exponential variables (Renyi's representation)
    exponent = rng.uniform(0.8, 3.0, (n, k + 1, 1)).astype(np.float32)
    target = exponent * rng.standard_exponential((n, k + 1, v), dtype=np.float32)
    flat = rng.uniform(0.7, 1.1, (n, k, 1)).astype(np.float32)
    noise = rng.standard_normal((n, k, v), dtype=np.float32)
    draft = flat * target[:, :k] + (quality * rng.uniform(0.3, 1.2, (n, k, 1))).astype(np.float32) * noise
    p, q = softmax(target), softmax(draft)
    race = np.maximum(rng.standard_exponential((n, k, v), dtype=np.float32), np.float32(1e-30))
    empty = np.zeros((n, k), np.int64)
    r = rng.random((n, k), dtype=np.float32)
    return World(p, q, q, race, empty, r, np.full(n, k), request, step, rng)


def draft(world: World, law: str) -> None:
    """Draw x; laws of a point draft take the most probable token, and q is one-hot there."""
    if law in POINT:
        world.x = np.argmax(world.source, axis=-1)
        world.q = world.source = hot(world.x, world.q.shape[-1])
    else:
        world.x = np.argmax(world.source / world.race, axis=-1)


def softmax(logits: npt.NDArray[np.floating[Any]]) -> Rows:
    """float32 rows that sum to 1 within its precision."""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True), dtype=np.float32)


def at(rows: Rows, token: Ints) -> Rows:
    """The entry of each row at its token."""
    return np.asarray(np.take_along_axis(rows, token[..., None], axis=-1)[..., 0])


def hot(token: Ints, vocab: int) -> Rows:
    """Rows with all weight on one token."""
    rows = np.zeros((*token.shape, vocab), np.float32)
    np.put_along_axis(rows, token[..., None], np.float32(1), axis=-1)
    return rows


def tempered(rows: Rows, temperature: float) -> Rows:
    """Rows raised to 1 / temperature and renormalised."""
    raised = rows.astype(np.float64) ** (1.0 / temperature)
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True), dtype=np.float32)


def top(rows: Rows, k: int) -> Rows:
    """The k most probable tokens of each row, renormalised."""
    k = min(k, rows.shape[-1])
    least = -np.partition(-rows, k - 1, axis=-1)[..., k - 1 : k]
    kept = np.where(rows >= least, rows, np.float32(0))
    return np.asarray(kept / kept.sum(axis=-1, keepdims=True), dtype=np.float32)


def draw(weights: Rows, rng: np.random.Generator) -> Ints:
    """One token a row, by the exponential race that vLLM's sampler runs."""
    race = np.maximum(rng.standard_exponential(weights.shape, dtype=np.float32), np.float32(1e-30))
    return np.asarray(np.argmax(weights / race, axis=-1))
