"""Draws that stand twice in a record and were drawn once: requests that were run again, ranks of one engine seed."""

import numpy as np
import polars as pl

from sdtrace.simulate.variant import Variant
from sdtrace.simulate.world import World

_CHAIN = ("ratio", "one-hot", "match", "greedy", "block", "tree-coin")
_TOKENWISE = ("ratio", "one-hot", "tree-coin")

_RANKS = 4
_NUMBER = pl.col("request_id").str.slice(1).cast(pl.Int64)


def _again(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """A benchmark is repeated by an engine that is started with the same seed: every request again, an hour later, under a new id."""
    later = frame.with_columns(request_id=pl.format("r{}", _NUMBER + 10**7), at=pl.col("at") + 3600.0)
    return pl.concat([frame, later])


def _one_stream(world: World) -> None:
    """Request i runs on rank i modulo _RANKS, and the generators of all ranks began with one seed."""
    table = np.random.default_rng(11).random((4096, 64, world.r.shape[1]), dtype=np.float32)
    world.r = table[(world.request // _RANKS) % 4096, world.step % 64]


def _ranks(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    return frame.with_columns(rank=_NUMBER % _RANKS)


LAWFUL_REPEATS: dict[str, Variant] = {
    "run-again": Variant("all requests are run a second time from the same seed, under new ids", _CHAIN, steps=_again),
    "ranks-share-a-seed": Variant(
        "the generators of four data-parallel ranks begin with one seed", _TOKENWISE, remake=_one_stream, steps=_ranks
    ),
}  # fmt: skip
