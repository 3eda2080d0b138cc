"""Faults of a part of the traffic: lenience for one adapter, hour or rank, in large batches, behind the first position, in first steps;
and uniforms that rows of a batch, or a draft and its test, share."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from sdtrace.schema.arrays import Flags
from sdtrace.simulate.engine import over
from sdtrace.simulate.fault import Fault
from sdtrace.simulate.world import Rows, World, at, hot

_BATCHES = (2, 4, 8, 16, 32)
_NUMBER = pl.col("request_id").str.slice(1).cast(pl.Int64)


@dataclass(frozen=True)
class _Part:
    """A part of the traffic: which (n, 1) or (n, K) decisions belong to it, and what is recorded of it."""

    says: str
    inside: Callable[[World], Flags]
    steps: Callable[[pl.DataFrame], pl.DataFrame] = lambda frame: frame
    requests: Callable[[pl.DataFrame], pl.DataFrame] = lambda frame: frame


def _every(world: World, flags: Flags) -> Flags:
    return np.broadcast_to(flags[:, None], world.r.shape)


PARTS = {
    "one-adapter": _Part(
        "for one adapter of twenty",
        lambda w: _every(w, w.request % 20 == 3),
        requests=lambda frame: frame.with_columns(tags=pl.format('{}{}{}', pl.lit('{"adapter":"a'), _NUMBER % 20, pl.lit('"}'))),
    ),
    "one-hour": _Part(
        "in one hour of twelve",
        lambda w: _every(w, w.request % 12 == 5),
        steps=lambda frame: frame.with_columns(at=pl.col("at") + 3600.0 * (_NUMBER % 12)),
    ),
    "one-rank": _Part(
        "on one rank of eight",
        lambda w: _every(w, w.request % 8 == 3),
        steps=lambda frame: frame.with_columns(rank=_NUMBER % 8),
    ),
    "large-batches": _Part(
        "in batches of more than 8",
        lambda w: _every(w, np.asarray(_BATCHES)[(w.request + w.step) % 5] > 8),
        steps=lambda frame: frame.with_columns(batch_size=2 ** (1 + (_NUMBER + pl.col("step")) % 5)),
    ),
    "behind-the-first": _Part("behind the first position of a step", lambda w: np.broadcast_to(np.arange(w.r.shape[1]) > 0, w.r.shape)),
    "first-steps": _Part("in the first step of a request", lambda w: _every(w, w.step == 0)),
}  # fmt: skip


def _lenient(part: _Part) -> Fault:
    def level(world: World, s: float) -> Rows:
        ratio = over(at(world.p[:, :-1], world.x), at(world.q, world.x))
        return np.where(part.inside(world), ratio / np.float32(s), ratio)

    return Fault(
        "lenient-acceptance",
        f"accepted when r <= p / (l q), {part.says}",
        0.7,
        "l",
        level=level,
        write=lambda frame, s, rng: part.steps(frame),
        ask=lambda frame: part.requests(frame),
    )


def _one_draw_a_batch(world: World, s: float) -> None:
    """Requests 16 i to 16 i + 15 are rows of one batch, and get the uniforms of one of them."""
    table = np.random.default_rng(5).random((4096, 64, world.r.shape[1]), dtype=np.float32)
    world.r = table[(world.request // 16) % 4096, world.step % 64]


def _batches(frame: pl.DataFrame, s: float, rng: np.random.Generator) -> pl.DataFrame:
    batch = _NUMBER // 16
    return frame.with_columns(
        engine_step=64 * batch + pl.col("step"),
        at=1.8e9 + 0.03 * (64 * batch + pl.col("step")),
        batch_size=pl.lit(16, pl.Int64),
    )


def _draft_by_draw(world: World, s: float) -> None:
    """The drafted token is where the uniform of its test falls in the order of ids."""
    edge = np.cumsum(world.q, axis=-1, dtype=np.float64)
    chosen = (edge < (world.r * edge[..., -1])[..., None]).sum(axis=-1)
    world.race = np.where(
        hot(np.minimum(chosen, world.q.shape[-1] - 1), world.q.shape[-1]) > 0, np.float32(1e-30), np.float32(1e6)
    )


SLICED = {f"lenience-{name}": _lenient(part) for name, part in PARTS.items()} | {
    "one-draw-a-batch": Fault(
        "uniforms-reused", "the rows of a batch share their draws", rows=_one_draw_a_batch, write=_batches
    ),
    "draft-and-test-share": Fault("uniforms-reused", "the uniform that drew the draft tests it", rows=_draft_by_draw),
}
