"""A lawful strangeness as data: what a correct engine, or a recorder that says what it knows, may do and still be right."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from sdtrace.simulate.engine import Outcome
from sdtrace.simulate.world import World

Row = dict[str, Any]


@dataclass(frozen=True)
class Variant:
    """`laws` that it goes with, `says` what it is; `dtypes`: the precisions of the record that it goes with, none for all.

    `remake` changes what the models say before anything is drafted; `play` is another lawful engine; `shown` what the recorder
    sees of the world; `steps`, `requests` and `run` change the records, `lost` the steps once requests are added up. Steps and
    requests come in batches of whole requests.
    `record_fault`: the record itself is at fault, and may be told so; the engine never is.
    """

    says: str
    laws: tuple[str, ...] = ("ratio",)
    remake: Callable[[World], None] | None = None
    play: Callable[[World], Outcome] | None = None
    shown: Callable[[World], World] | None = None
    steps: Callable[[pl.DataFrame, np.random.Generator], pl.DataFrame] | None = None
    requests: Callable[[pl.DataFrame, np.random.Generator], pl.DataFrame] | None = None
    run: Callable[[Row], Row] | None = None
    lost: Callable[[pl.DataFrame, np.random.Generator], pl.DataFrame] | None = None
    record_fault: bool = False
    dtypes: tuple[str, ...] = ()
