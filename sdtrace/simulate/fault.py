"""A fault as data: the cause that it should be given, and where it takes over."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from sdtrace.schema.arrays import Flags, Ints
from sdtrace.simulate.world import Rows, World


@dataclass(frozen=True)
class Fault:
    """`cause` of the vocabulary ("" = none); `strength` where nothing else is asked for, and what it `means`.

    `rows` changes what the models say or draw; `trim` the verified length; `level` the threshold of r (n, K); `forced` the
    decisions; `recover` the weights of the recovered token; `chosen` what match and greedy draw; `write` the steps, `ask` the
    requests; `defers` the gate (n, K) and the window of FLy. `only`: the part of the traffic that it is confined to, one of
    `sdtrace.simulate.sliced.PARTS`, "" for none.
    """

    cause: str
    says: str
    strength: float = 1.0
    means: str = ""
    laws: tuple[str, ...] = ("ratio",)
    rows: Callable[[World, float], None] | None = None
    trim: Callable[[World, float], None] | None = None
    level: Callable[[World, float], Rows] | None = None
    forced: Callable[[World, float, Flags], Flags] | None = None
    recover: Callable[[World, float, Ints, Rows], Rows] | None = None
    chosen: Callable[[World, float, Ints], Ints] | None = None
    write: Callable[[pl.DataFrame, float, np.random.Generator], pl.DataFrame] | None = None
    ask: Callable[[pl.DataFrame], pl.DataFrame] | None = None
    same_noise: bool = False
    bonus_row: int = 0  #: rows that the bonus token is drawn from, counted from its own
    defers: Callable[[World, Flags, int], tuple[Flags, int]] | None = None
    only: str = ""
