"""From steps (one row a verification, lists inside) to flat arrays over verified positions.

Lists of one step may differ in length (trimmed steps, a bonus position, decisions that end at the rejection), so each
column is gathered by (step, position) unless it happens to be aligned already, which is the usual and fast case.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.schema.arrays import Flags, Floats, Ints
from sdtrace.schema.padding import without_padding
from sdtrace.verify.ragged import Ragged, heads, ragged

Scalar = TypeVar("Scalar", bound=np.generic)


#: Steps whose lists are cut at a time.
_STEPS = 16_384
#: Positions of a step up to which whole columns of them are added up.
_FEW = 32


@dataclass(frozen=True)
class Positions:
    """Verified positions of a frame of steps, flat and in order; n steps, m positions.

    `steps` is the frame with `tau`, `verified` (how many drafted tokens were verified), `n_a` (recorded acceptances,
    clipped to `verified`; -1 where nothing tells). A position is tested when a decision was made there: up to the
    first rejection, for a law that stops there. All arrays have m entries unless said otherwise.
    """

    steps: pl.DataFrame
    count: Ints  #: n entries: verified positions of each step
    cache: dict[str, Ragged] = field(default_factory=dict)

    @cached_property
    def each(self) -> Ints | int:
        """How often a value of each step stands for its positions: one number where all steps have as many."""
        return int(self.count[0]) if len(self.count) and (self.count == self.count[0]).all() else self.count

    def spread(self, values: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        """A value of every step (n entries) at each of its positions (m entries)."""
        if isinstance(self.each, int):  # as np.repeat, but other threads may go on meanwhile
            return np.asarray(np.broadcast_to(values[:, None], (len(values), self.each)).reshape(-1))
        return np.asarray(np.repeat(values, self.each))

    def _every(self, row: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        """The same row of values for every step; as np.tile, but other threads may go on meanwhile."""
        return np.asarray(np.broadcast_to(row, (len(self.count), len(row))).reshape(-1))

    def sums(self, values: Floats) -> Floats:
        """Sum over the positions of every step (m entries to n), from left to right."""
        if not isinstance(self.each, int) or not 0 < self.each <= _FEW:
            return np.bincount(self.row, weights=values, minlength=len(self.count)).astype(np.float64, copy=False)
        table = values.reshape(len(self.count), self.each)
        total = table[:, 0].copy()
        for j in range(1, self.each):
            total += table[:, j]
        return total

    def squares(self, values: Floats) -> Floats:
        """Sum of squares over the positions of every step (m entries to n)."""
        if not isinstance(self.each, int) or not self.each:
            return self.sums(values * values)
        table = values.reshape(len(self.count), self.each)
        return np.asarray(np.einsum("ij,ij->i", table, table))

    def counts(self, flags: Flags) -> Floats:
        """How many positions of every step (n entries) are flagged; next to nothing where none is."""
        found = np.flatnonzero(flags)
        return np.bincount(self.row[found], minlength=len(self.count)).astype(np.float64)

    def first(self, number: Ints) -> Flags:
        """The first `number` (n entries) positions of every step."""
        if isinstance(self.each, int):
            each = self.each
            rows = np.tri(each + 1, each, -1, dtype=bool)  # the first k of a row, for every k
            return np.asarray(rows.take(number, axis=0, mode="clip")).reshape(-1)
        return np.asarray(self.position < self.spread(number))

    @cached_property
    def start(self) -> Ints:
        """n entries: where each step begins."""
        return np.asarray(np.cumsum(self.count) - self.count)

    @cached_property
    def row(self) -> Ints:
        """Which step each position belongs to."""
        return self.spread(np.arange(len(self.count), dtype=np.int64))

    @cached_property
    def position(self) -> Ints:
        """0-based position within the step."""
        if isinstance(self.each, int):
            return self._every(np.arange(self.each, dtype=np.int64))
        return np.arange(len(self.row), dtype=np.int64) - self.spread(self.start)

    @cached_property
    def n_a(self) -> Ints:
        """Recorded number of accepted tokens of the step; -1 = unknown."""
        return self.spread(self.steps["n_a"].to_numpy())

    @cached_property
    def tested(self) -> Flags:
        """A decision was made here and the record tells which."""
        return self.first(self.steps["last_tested"].to_numpy() + 1)

    @cached_property
    def accepted(self) -> Flags:
        """The recorded decision: the engine's own flag where it wrote one, otherwise position < n_a."""
        if self.steps["accepted"].null_count() == self.steps.height:
            return self.by_count
        flag = self.column("accepted", absent=-1).astype(np.int8, copy=False)
        return np.where((flag >= 0) & self.tested, flag == 1, self.by_count)

    @cached_property
    def by_count(self) -> Flags:
        """position < n_a."""
        return self.first(self.steps["n_a"].to_numpy())

    def column(self, name: str, absent: float | int | bool = np.nan) -> npt.NDArray[np.generic]:
        """A list column of the steps at every verified position; `absent` where it has no entry."""
        lists = self.lists(name)
        if len(lists.values) == len(self.row) and np.array_equal(lists.count, self.count):
            return lists.values
        return lists.at(self.row, self.position, absent)

    def lists(self, name: str) -> Ragged:
        """A list column of the steps, flattened once."""
        if name not in self.cache:
            self.cache[name] = ragged(self.steps[name])
        return self.cache[name]

    @cached_property
    def token(self) -> Ints:
        """Drafted token ids."""
        return self.column("draft_token_ids", absent=-1).astype(np.int64, copy=False)

    @cached_property
    def emitted(self) -> Ints:
        """What the step appended at this place; -1 where it appended nothing."""
        lists = self.lists("output_token_ids")
        taken = np.full(len(self.row), -1, dtype=np.int64)
        kept = np.minimum(lists.count, self.count)
        inside = self.first(kept)
        for begin in range(0, len(kept), _STEPS):  # pieces that stay in the processor's cache
            part = slice(begin, min(begin + _STEPS, len(kept)))
            values = heads(lists, part, kept[part])
            places = slice(self.start[begin], self.start[part.stop - 1] + self.count[part.stop - 1])
            taken[places][np.flatnonzero(inside[places])] = values
        return taken

    @cached_property
    def p(self) -> Floats:
        """Target probability of the drafted token; NaN where absent."""
        return self.column("target_probs").astype(np.float64, copy=False)

    @cached_property
    def q(self) -> Floats:
        """Draft probability of the drafted token; NaN where absent, 1 where the engine used none (null list)."""
        values = self.column("draft_probs").astype(np.float64, copy=False)
        if not self.steps["draft_probs"].null_count():
            return values
        one_hot = self.spread(self.steps["draft_probs"].is_null().to_numpy())
        return np.where(one_hot, 1.0, values)

    @cached_property
    def r(self) -> Floats:
        """The uniform draw; NaN where absent."""
        return self.column("uniforms").astype(np.float64, copy=False)


def derive(steps: pl.DataFrame) -> pl.DataFrame:
    """Steps with `tau`, `verified`, `by_flags`, `n_a`, `appended`, `x_rejected`, `y`, `is_last`, `last_tested` added.

    `steps` carries `hash` (one number a request) and the request's `stop_token_ids`.
    `n_a` comes from num_accepted, else from the decisions (`by_flags`: those up to the first no), else from what was
    appended (one token fewer);
    `x_rejected` is the drafted token at the first rejection, `y` the token appended after the accepted block.
    `last_tested` is the last position whose decision is recorded (-1 = none). Some engines clip num_accepted when a
    stop id or max_tokens cuts the block: the last kept token is then a drafted one, and its "rejection" is none. Others clip it
    to all that was kept: then the token behind the cut may have been accepted as well (see `_cut_at_count`).
    """
    steps = without_padding(steps)
    tau = pl.col("draft_token_ids").list.len().fill_null(0).cast(pl.Int64)
    flags = pl.col("accepted")
    by_flags = pl.when(flags.list.all()).then(flags.list.len()).otherwise(flags.list.arg_min()).cast(pl.Int64)
    if steps["accepted"].null_count() == steps.height:
        by_flags = pl.lit(None, pl.Int64)
    appended = pl.col("output_token_ids").list.len().cast(pl.Int64)
    steps = steps.with_columns(
        tau=tau,
        verified=pl.min_horizontal(pl.coalesce("verified_len", tau), tau),
        appended=appended,
        by_flags=by_flags,
        recorded=pl.coalesce("num_accepted", by_flags, appended - 1),
    )
    n_a = pl.col("recorded").clip(upper_bound=pl.col("verified")).fill_null(-1)
    steps = steps.with_columns(n_a=n_a)
    inside = (pl.col("n_a") >= 0) & (pl.col("n_a") < pl.col("verified"))
    steps = steps.with_columns(
        # engines that schedule ahead run a step behind the end, of which nothing is kept
        is_last=pl.col("step")
        >= pl.when(pl.col("appended").ne_missing(0)).then("step").max().over("hash").fill_null(-1),
        x_rejected=pl.when(inside).then(pl.col("draft_token_ids").list.get(pl.col("n_a"), null_on_oob=True)),
        y=pl.when(pl.col("n_a") >= 0).then(pl.col("output_token_ids").list.get(pl.col("n_a"), null_on_oob=True)),
    )
    ends = pl.col("is_last") | pl.col("stop_token_ids").list.contains(pl.col("y")).fill_null(value=False)
    back = (ends & (pl.col("y") == pl.col("x_rejected"))).fill_null(value=False)
    named = (pl.col("last_kind") == "recovered").fill_null(value=False)
    # to look at every step of a run costs a third of all this: it is done only where a step could be meant
    doubtful, cut = steps.select((back & named).any(), cut=_CUT.any()).row(0)
    clipped = back & (~named | ~_decided()) if doubtful else back & ~named
    if cut:
        clipped |= _cut_at_count()
    return steps.with_columns(last_tested=pl.col("n_a") - clipped.cast(pl.Int64))


def _decided() -> pl.Expr:
    """Runs in which a step accepts as many tokens as it appends, or more: num_accepted is what the verifier decided. Elsewhere it may
    be what was kept less one, and a recorder that derives last_kind from both calls the last of an accepted block recovered."""
    return (pl.col("n_a") >= pl.col("appended")).any().over("run_id")


#: A request without a line may be a session: a block is cut where a turn ends, and the next context (`jump`) does not go on from there.
TURN_ENDS = pl.col("has_request").is_null() & pl.col("context_len").is_not_null() & pl.col("jump").ne_missing(0)
#: Exactly num_accepted tokens were appended, fewer than were verified.
_CUT = (pl.col("appended") == pl.col("n_a")) & (pl.col("n_a") < pl.col("verified"))


def _cut_at_count() -> pl.Expr:
    """Ends of requests that appended exactly num_accepted tokens, fewer than were verified, in runs without a step that shows more
    accepted tokens than appended ones (an engine that shows them counts what its verifier decided)."""
    stopped = pl.col("stop_token_ids").list.contains(pl.col("output_token_ids").list.last()).fill_null(value=False)
    counts_all = (pl.col("n_a") > pl.col("appended")).any().over("run_id")
    return ((pl.col("is_last") | stopped) & _CUT & ~counts_all).fill_null(value=False)


def positions(steps: pl.DataFrame) -> Positions:
    """The verified positions of derived steps."""
    return Positions(steps, steps["verified"].to_numpy())
