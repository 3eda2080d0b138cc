"""A record that stands twice is counted once: shippers repeat lines, exports overlap, consoles are pasted again.

Two records are the same where every figure, their time and whose they are agree, and where that cannot be chance: they
carry a time, or a duration or a speed beside a request's name or of a whole run; a benchmark that repeats a prompt prints
the same counts under the same name. Rounds and iterations of one second can be alike, so those
need a time below a second or their own number.
"""

from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.schema.trace import Batch, Loss, Notice

#: Records that are remembered: a repetition farther back than this many is not seen.
KEPT = 1 << 18
_FIGURES = (
    "at", "span_s", "engine", "surface", "basis", "series", "request_id", "drafts", "steps", "drafted", "accepted",
    "emitted", "said_length", "said_rate", "generation_tps", "running", "waiting", "kv_usage", "draft_ms", "busy_ms",
    "said",
)  # fmt: skip
#: Figures of a request that other lines may add.
_BESIDE = ("emitted", "busy_ms", "drafts", "steps")
_SINGLE = ("round", "iteration")
#: Seconds that a record covers, of which no second one ends within the same second: of what a logger wrote twice, a container's
#: runtime stamps each line by itself.
_LONG = 2.0
WHAT = "the same record again"
ADVICE = "a shipper repeats lines, or a stretch of the file stands in it twice: it is counted once"


def _known() -> pl.Expr:
    """Whether a record has what tells it from every other one."""
    number = pl.col("said").str.contains(r'"(?:iter|forward_ct|fct|Iteration)":').fill_null(value=False)
    fraction = (pl.col("at") % 1 != 0).fill_null(value=False)
    speed = pl.any_horizontal(pl.col("span_s", "busy_ms", "generation_tps").is_not_null())
    named = (pl.col("basis") == "run") | (pl.col("basis") == "request") & pl.col("request_id").is_not_null()
    whole = pl.col("at").is_not_null() | named & speed
    single = pl.col("basis").is_in(_SINGLE)
    return ~pl.col("basis").is_in(["counter", "lifetime"]) & pl.when(single).then(number | fraction).otherwise(whole)


def _mark() -> pl.Expr:
    """What a record is told by. A request's own line with its time and name is enough: lines before it, which say how long
    it took, may not stand in a copied stretch."""
    named = (pl.col("basis") == "request") & pl.col("at").is_not_null() & pl.col("request_id").is_not_null()
    long = (pl.col("basis") == "interval") & (pl.col("span_s") >= _LONG) | (pl.col("basis") == "gauge")
    at = pl.when(long).then(pl.col("at").floor()).otherwise(pl.col("at"))
    alone = pl.struct(at, *(pl.col(n) for n in _FIGURES if n not in ("at", *_BESIDE))).hash()
    whole = pl.struct(at, *(pl.col(n) for n in _FIGURES if n != "at")).hash()
    return pl.when(named & pl.col("said").is_not_null()).then(alone).otherwise(whole)


@dataclass
class Repeated:
    """Takes the batches of one input in order and gives them back without what came before."""

    seen: set[int] = field(default_factory=set)
    order: deque[npt.NDArray[np.uint64]] = field(default_factory=deque)

    def once(self, batch: Batch) -> Batch:
        """The batch without repeated windows; a line that holds nothing else is a loss."""
        windows = batch.windows
        if windows is None or windows.is_empty():
            return batch
        marks = windows.select(mark=_mark(), known=_known())
        first = marks["mark"].is_first_distinct()
        again = ~first | pl.Series([mark in self.seen for mark in marks["mark"].to_list()], dtype=pl.Boolean)
        again = again & marks["known"]
        self._remember(marks.filter("known")["mark"].unique().to_numpy())
        if not again.any():
            return batch
        kept, gone = windows.filter(~again), windows.filter(again)
        lines = sorted(set(gone["line"].drop_nulls().to_list()) - set(kept["line"].drop_nulls().to_list()))
        told = [Loss(batch.path, lines[0], WHAT, len(lines), ADVICE)] if lines else []
        notices = [] if lines else [Notice(batch.path, None, WHAT, gone.height, ADVICE)]
        return replace(
            batch,
            windows=kept,
            losses=[*batch.losses, *told],
            notices=[*batch.notices, *notices],
            records=batch.records - len(lines),
        )

    def _remember(self, marks: npt.NDArray[np.uint64]) -> None:
        self.seen.update(marks.tolist())
        self.order.append(marks)
        while len(self.seen) > KEPT and len(self.order) > 1:
            self.seen.difference_update(self.order.popleft().tolist())
