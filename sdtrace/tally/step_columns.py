"""What step checks ask of a step beyond its columns: bands, impossible values, the stop id, the argmax after the block.

Everything here is cheap on a clean batch: a fault is looked for in the flat arrays first, and counted by step only
where there is one.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.schema.arrays import Flags, Ints
from sdtrace.verify.band import Rounding, highest, in_range
from sdtrace.verify.laws.block import reach
from sdtrace.verify.positions import Positions
from sdtrace.verify.ragged import Ragged
from sdtrace.verify.scope import Scope

#: Columns of which nothing is known: literals cost nothing.
_NEVER, _NULL = pl.lit(None, pl.Int64), pl.lit(None, pl.Float64)

#: A step that drafted nothing and appended nothing: a chunk of a prompt, or a request that had to wait.
_IDLE = ((pl.col("tau") == 0) & (pl.col("appended") == 0)).fill_null(value=False)


def enriched(scope: Scope) -> pl.DataFrame:
    """The steps of a scope with the columns that step checks read (one row a step, same order)."""
    pos, bands = scope.pos, scope.bands
    steps = scope.steps
    p_y, q_y = (_NULL if scope.raw else pl.col(name) for name in ("last_target_prob", "last_draft_prob"))
    kept = pl.Series(reach(pos, bands)) if scope.law.decides == "block" else pl.lit(1.0)
    added: dict[str, Ints | pl.Series | pl.Expr] = {
        "bad_p": _outside(pos, "target_probs", bands.p),
        "bad_q": _outside(pos, "draft_probs", bands.q),
        "bad_r": _outside(pos, "uniforms", Rounding(0.0, 0.0)),
        "zero_q": _zeros(pos, "draft_probs", bands.q, accepted_only=False),
        "zero_p_accepted": _zeros(pos, "target_probs", bands.p, accepted_only=True),
        "stop_at": _NEVER if scope.absent("stop_token_ids") else stop_at(steps, pos.lists("output_token_ids")),
        "gap_y": _NULL if scope.absent("target_top2_gap") else _gap(pos),
        "impossible": _impossible(steps),
        "twice": _twice(steps),
        "strange": _strange(scope),
        "beyond": _beyond(scope),
        "jump": _NEVER if scope.absent("context_len") else jumps(steps),
        "argmax_y": _NEVER if scope.absent("target_argmax_ids") else _argmax(pos),
    }
    return steps.with_columns(
        p_band_high_y=_high(p_y, bands.p) * kept,
        q_band_low_y=_low(q_y, bands.q),
        idle=_IDLE.cast(pl.Int64),
        bad_y=_bad("last_target_prob", bands.p) + _bad("last_draft_prob", bands.q),
        **{k: pl.Series(v) if isinstance(v, np.ndarray) else v for k, v in added.items()},
    )


def _strange(scope: Scope) -> Ints | pl.Expr:
    """How many ids of each step's output no vocabulary of `vocab_size` has; null where that size is not known.

    Some write the tokenizer's size without its added tokens: a stop id beyond it, or an accepted token beyond it to which the
    target gives a probability, shows that it is not the size of the target's rows.
    """
    size, pos = scope.run.vocab_size, scope.pos
    lists = pos.lists("output_token_ids")
    if not size or not len(lists.values):
        return _NEVER
    ids = lists.values.astype(np.int64, copy=False)
    if ids.max() < size and ids.min() >= 0:
        return np.zeros(len(pos.count), dtype=np.int64)
    stops = scope.steps["stop_token_ids"].list.max().max()
    if isinstance(stops, int) and stops >= size:
        return _NEVER
    beyond = np.flatnonzero(pos.emitted >= size)
    kept = beyond[pos.by_count[beyond]]
    if ((pos.token[kept] == pos.emitted[kept]) & (pos.p[kept] > 0)).any():
        return _NEVER
    before = np.concatenate(([0], np.cumsum((ids >= size) | (ids < 0))))
    return np.asarray(before[lists.start + lists.count] - before[lists.start])


def _beyond(scope: Scope) -> pl.Series | pl.Expr:
    """How many tested positions of each step have a target that top-k or min-p cannot have left so wide; null where nothing tells.

    An entropy above ln(2 k), a sum of squares below 1 / (2 k); a token with 0 < p < min_p sum p^2. At temperature 0 the logged p
    is that of temperature 1.
    """
    pos, steps = scope.pos, scope.steps
    if scope.run.prob_basis != "processed" or (scope.absent("top_k") and scope.absent("min_p")):
        return _NEVER
    warm = (steps["temperature"] > 0).fill_null(value=True)
    top_k = steps["top_k"].cast(pl.Float64).set(~warm | (steps["top_k"] <= 0).fill_null(value=True), None)
    min_p = steps["min_p"].cast(pl.Float64).set(~(steps["temperature"] >= 1).fill_null(value=False), None)
    k, share = (pos.spread(column.fill_null(np.nan).to_numpy()) for column in (2.0 * top_k, min_p))
    entropy, square = (pos.column(name).astype(np.float64) for name in ("target_entropy", "target_sq"))
    with np.errstate(invalid="ignore", divide="ignore"):
        wide = (entropy > np.log(k) + 0.01) | (scope.bands.p.high(square) < (1.0 - 1e-4) / k)
        cut = (scope.bands.p.low(pos.p) > 0.0) & (scope.bands.p.high(pos.p) < 0.999 * share * scope.bands.p.low(square))
    told = (np.isfinite(k) | np.isfinite(share)) & (np.isfinite(entropy) | np.isfinite(square))
    tested = scope.judged.tested
    counts = pl.Series(pos.counts((wide | cut) & tested).astype(np.int64))
    return counts.set(pl.Series(pos.counts(told & tested) == 0), None)


def jumps(steps: pl.DataFrame) -> pl.Series:
    """By how much context_len of the next step of a request is off from that of this one plus what it appended.

    Null where the next step is not beside it, drafted nothing (a chunk of a prompt, the turn of a session) or begins anew
    (a smaller context: the request was preempted), and behind a stop id.
    """
    table = steps.select("hash", "step", "tau", "context_len", "appended", row=pl.int_range(pl.len()))
    table = table.sort("hash", "step", maintain_order=True)
    following = pl.all().shift(-1)
    after = table.select(following.name.suffix("_n"))
    beside = (pl.col("hash") == pl.col("hash_n")) & (pl.col("step_n") == pl.col("step") + 1)
    drafting = (pl.col("tau") > 0) & (pl.col("tau_n") > 0) & (pl.col("context_len_n") >= pl.col("context_len"))
    off = pl.col("context_len_n") - pl.col("context_len") - pl.col("appended")
    found = table.hstack(after).select("row", jump=pl.when(beside & drafting).then(off)).sort("row")
    return found["jump"]


def _low(value: pl.Expr, band: Rounding) -> pl.Expr:
    """Rounding.low as an expression; a value that is no number is null."""
    return (value / (1.0 + band.relative) - band.absolute).clip(lower_bound=0.0).fill_nan(None)


def _high(value: pl.Expr, band: Rounding) -> pl.Expr:
    return (value / (1.0 - band.relative) + band.absolute).fill_nan(None)


def _bad(column: str, band: Rounding) -> pl.Expr:
    """1 where the column holds something that cannot be a probability, as in_range has it."""
    inside = pl.col(column).is_between(0.0, highest(band)) & pl.col(column).is_not_nan()
    return (~inside).fill_null(value=False).cast(pl.Int64)


def stop_at(steps: pl.DataFrame, output: Ragged) -> pl.Series:
    """Index of the first stop id inside output_token_ids of each step; null where none, or none known."""
    found = np.full(steps.height, -1, dtype=np.int64)
    names = steps.select(pl.col("stop_token_ids").cast(pl.List(pl.String)).list.join(",")).to_series()
    for name in names.drop_nulls().unique(maintain_order=True):
        wanted = np.array([int(text) for text in name.split(",") if text], dtype=np.int64)
        hits = np.flatnonzero(np.isin(output.values, wanted)) if len(wanted) < 16 else _many(output, wanted)
        if not len(hits):
            continue
        owner = np.searchsorted(output.start, hits, side="right") - 1
        rows, first = np.unique(owner, return_index=True)
        mine = (names[rows] == name).fill_null(value=False).to_numpy()
        found[rows[mine]] = (hits[first] - output.start[rows])[mine]
    return pl.Series(found, dtype=pl.Int64).replace(-1, None)


def _many(output: Ragged, wanted: Ints) -> Ints:
    return np.flatnonzero(np.isin(output.values, np.sort(wanted)))


def _owner(lists: Ragged, index: Ints) -> Ints:
    """The step of a flat index; empty lists own nothing, so the last step that starts at or before it."""
    return np.asarray(np.searchsorted(lists.start, index, side="right") - 1)


def _tested_rows(pos: Positions, lists: Ragged, index: Ints) -> Ints:
    """Steps of those flat indices that are tested positions: what lists hold elsewhere is not read."""
    row = _owner(lists, index)
    place = index - lists.start[row]
    n_a, verified = pos.steps["n_a"].to_numpy(), pos.count
    return row[(place <= n_a[row]) & (place < verified[row]) & (n_a[row] >= 0)]


def _outside(pos: Positions, column: str, band: Rounding) -> Ints:
    lists = pos.lists(column)
    if not len(lists.values):
        return np.zeros(len(pos.count), dtype=np.int64)
    values = lists.values.astype(np.float64, copy=False)
    if values.min() >= 0.0 and values.max() <= 1.0:  # a NaN makes either comparison false
        return np.zeros(len(pos.count), dtype=np.int64)
    bad = ~in_range(values, band)
    if lists.nulls is not None:
        bad &= ~lists.nulls
    return _count(pos, lists, bad)


def _zeros(pos: Positions, column: str, band: Rounding, *, accepted_only: bool) -> Ints:
    lists = pos.lists(column)
    if not len(lists.values) or band.high(np.zeros(1))[0] > 0.0:
        return np.zeros(len(pos.count), dtype=np.int64)
    zero = lists.values == 0.0
    if accepted_only and zero.any():
        index = np.flatnonzero(zero)
        row = _owner(lists, index)
        zero[index] = (index - lists.start[row]) < pos.steps["n_a"].to_numpy()[row]
    return _count(pos, lists, zero)


def _count(pos: Positions, lists: Ragged, flags: Flags) -> Ints:
    if not flags.any():
        return np.zeros(len(pos.count), dtype=np.int64)
    return np.bincount(_tested_rows(pos, lists, np.flatnonzero(flags)), minlength=len(pos.count))


def _impossible(steps: pl.DataFrame) -> pl.Series:
    """Where the rejected token came back: whether p >= q, so that it could not be rejected; elsewhere nobody asks."""
    back = (steps["y"] == steps["x_rejected"]).fill_null(value=False)
    if not back.any():
        return back
    p, q = (pl.col(name).list.get(pl.col("n_a").clip(0), null_on_oob=True) for name in ("target_probs", "draft_probs"))
    return steps.select((p >= q).fill_null(value=False)).to_series() & back


def _twice(steps: pl.DataFrame) -> pl.Series | pl.Expr:
    """Where a step appended one token too many, and the last one is `y` again."""
    one_more = pl.col("appended") == pl.col("n_a") + 2
    if not steps.select(one_more.any()).item():
        return pl.lit(value=False)
    return steps.select(one_more & (pl.col("output_token_ids").list.last() == pl.col("y"))).to_series()


def _gap(pos: Positions) -> pl.Series:
    return pl.Series(_after_block(pos, "target_top2_gap", np.nan), dtype=pl.Float64).fill_nan(None)


def _argmax(pos: Positions) -> pl.Series:
    return pl.Series(_after_block(pos, "target_argmax_ids", -1).astype(np.int64)).replace(-1, None)


def _after_block(pos: Positions, column: str, absent: float) -> npt.NDArray[np.generic]:
    """What a list holds for the token after the accepted block."""
    rows = np.arange(len(pos.count), dtype=np.int64)
    return pos.lists(column).at(rows, pos.steps["n_a"].to_numpy(), absent)
