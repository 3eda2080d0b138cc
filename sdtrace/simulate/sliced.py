"""Faults of a part of the traffic: any fault for one adapter, hour or rank, in large batches, behind the first position, in first steps;
and uniforms that rows of a batch, or a draft and its test, share."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from sdtrace.schema.arrays import Flags
from sdtrace.simulate.fault import Fault
from sdtrace.simulate.faults import FAULTS
from sdtrace.simulate.world import World, hot

_BATCHES = (2, 4, 8, 16, 32)
_CONTEXTS = (100, 400, 1600, 6400)
_NUMBER = pl.col("request_id").str.slice(1).cast(pl.Int64)


@dataclass(frozen=True)
class Part:
    """A part of the traffic: which (n, K) decisions belong to it, and what is recorded of it, by the name (`by`) that a report has."""

    says: str
    by: str
    inside: Callable[[World], Flags]
    steps: Callable[[pl.DataFrame], pl.DataFrame] = lambda frame: frame
    requests: Callable[[pl.DataFrame], pl.DataFrame] = lambda frame: frame


def _every(world: World, flags: Flags) -> Flags:
    return np.broadcast_to(flags[:, None], world.r.shape)


def _tagged(key: str, values: int) -> Callable[[pl.DataFrame], pl.DataFrame]:
    head, tail = pl.lit(f'{{"{key}":"{key[0]}'), pl.lit('"}')
    return lambda frame: frame.with_columns(tags=pl.format("{}{}{}", head, _NUMBER % values, tail))


def _contexts(frame: pl.DataFrame) -> pl.DataFrame:
    """Prompts of four lengths, by the request."""
    length = pl.col("output_token_ids").list.len().cast(pl.Int64)
    prompt = (_NUMBER % 4).replace_strict(dict(enumerate(_CONTEXTS)), return_dtype=pl.Int64)
    return frame.with_columns(context_len=prompt + 1 + length.cum_sum().over("request_id") - length)


def _prompts(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(
        prompt_len=(_NUMBER % 4).replace_strict(dict(enumerate(_CONTEXTS)), return_dtype=pl.Int64)
    )


PARTS = {
    "one-adapter": Part(
        "for one adapter of twenty", "tags.adapter",
        lambda w: _every(w, w.request % 20 == 3), requests=_tagged("adapter", 20),
    ),
    "one-hour": Part(
        "in one hour of twelve", "hour",
        lambda w: _every(w, w.request % 12 == 5),
        steps=lambda frame: frame.with_columns(at=pl.col("at") + 3600.0 * (_NUMBER % 12)),
    ),
    "one-rank": Part(
        "on one rank of eight", "rank",
        lambda w: _every(w, w.request % 8 == 3),
        steps=lambda frame: frame.with_columns(rank=_NUMBER % 8),
    ),
    "large-batches": Part(
        "in batches of more than 8", "batch_size",
        lambda w: _every(w, np.asarray(_BATCHES)[(w.request + w.step) % 5] > 8),
        steps=lambda frame: frame.with_columns(batch_size=2 ** (1 + (_NUMBER + pl.col("step")) % 5)),
    ),
    "behind-the-first": Part(
        "behind the first position of a step", "position", lambda w: np.broadcast_to(np.arange(w.r.shape[1]) > 0, w.r.shape)
    ),
    "first-steps": Part("in the first step of a request", "step", lambda w: _every(w, w.step == 0)),
    "one-tenant": Part(
        "for one tenant of five", "tags.tenant", lambda w: _every(w, w.request % 5 == 1), requests=_tagged("tenant", 5)
    ),
    "prefix-hits": Part(
        "where a third of the prompts was found in the prefix cache", "prefix_hit",
        lambda w: _every(w, w.request % 3 == 1),
        requests=lambda frame: frame.with_columns(cached_tokens=pl.when(_NUMBER % 3 == 1).then(32).otherwise(0).cast(pl.Int64)),
    ),
    "long-contexts": Part(
        "in the quarter of contexts above 6,400 tokens", "context_len",
        lambda w: _every(w, w.request % 4 == 3), steps=_contexts, requests=_prompts,
    ),
}  # fmt: skip


def rows_of(fault: Fault, world: World, strength: float, inside: Flags | None) -> None:
    """What a fault does to the rows or draws of a world; elsewhere than `inside` (n, K) they stay as they were."""
    if fault.rows is None:
        return
    before = {name: getattr(world, name) for name in ("p", "q", "source", "race", "r")}
    fault.rows(world, strength)
    if inside is None:
        return
    for name, old in before.items():
        if (new := getattr(world, name)) is not old:
            here = np.concatenate((inside, inside[:, -1:]), axis=1) if name == "p" else inside
            setattr(world, name, np.where(here if old.ndim == 2 else here[..., None], new, old))


def written(
    fault: Fault, frame: pl.DataFrame, strength: float, rng: np.random.Generator, inside: Flags | None
) -> pl.DataFrame:
    """The steps as a fault writes them; those that end elsewhere than `inside` stay as they were."""
    if fault.write is None:
        return frame
    changed = fault.write(frame, strength, rng)
    if inside is None:
        return changed
    here = pl.lit(pl.Series(inside[:, -1]))
    return changed.with_columns(pl.when(here).then(pl.col(name)).otherwise(frame[name]) for name in frame.columns)


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


def _lenient(name: str) -> Fault:
    whole = FAULTS["lenience"]
    return replace(whole, says=f"{whole.says}, {PARTS[name].says}", strength=0.7, laws=("ratio",), only=name)


_OLD = ("one-adapter", "one-hour", "one-rank", "large-batches", "behind-the-first", "first-steps")
SLICED = {f"lenience-{name}": _lenient(name) for name in _OLD} | {
    "one-draw-a-batch": Fault(
        "uniforms-reused", "the rows of a batch share their draws", rows=_one_draw_a_batch, write=_batches
    ),
    "draft-and-test-share": Fault("uniforms-reused", "the uniform that drew the draft tests it", rows=_draft_by_draw),
}
