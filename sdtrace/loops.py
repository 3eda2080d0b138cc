"""Signs of a degenerate target or output, by request: repeated stretches of ids, flat and one-hot target rows."""

import math

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.scope import Scope

Ints = npt.NDArray[np.int64]

#: Tokens of a batch that are looked at for loops (whole requests, by hash), and the longest period looked for.
TOKENS, PERIOD = 15_000, 32
#: Ids of a stretch of which distinct ones are counted.
GRAM = 4


def loops(scope: Scope) -> pl.DataFrame:
    """One row a request that was looked at: hash, loop_run, loop_period, loop_seen, grams, distinct.

    `grams` counts its stretches of GRAM ids, `distinct` those that differ (Li et al. 2016, distinct-n), batch by batch.
    """
    steps = scope.steps.select("hash", "step", "output_token_ids")
    tokens = len(scope.pos.lists("output_token_ids").values)
    if tokens > TOKENS:  # whole requests, chosen by hash
        steps = steps.filter(pl.col("hash") < int(2**64 * (TOKENS / tokens)))
    return _repeats(steps)


def degenerate(scope: Scope) -> dict[str, Ints]:
    """Per step: tested positions with a recorded entropy, with a one-hot or flat row, and with p = 1/vocabulary."""
    pos, n = scope.pos, len(scope.pos.count)
    vocabulary = scope.run.get("vocab_size")
    tested = scope.judged.tested
    zero = np.zeros(n, dtype=np.int64)
    found = dict.fromkeys(("one_hot", "flat", "entropies", "uniform_p"), zero)

    def by_step(flags: npt.NDArray[np.bool_]) -> Ints:
        found = np.flatnonzero(flags)
        return np.bincount(pos.row[found[tested[found]]], minlength=n) if len(found) else zero

    if not scope.absent("target_entropy"):
        entropy = pos.column("target_entropy").astype(np.float64, copy=False)
        found["entropies"] = by_step(~np.isnan(entropy))
        found["one_hot"] = by_step(np.abs(entropy) < 1e-6)
        if vocabulary and vocabulary > 1:
            found["flat"] = by_step(np.abs(entropy - math.log(vocabulary)) < 1e-4)
    if vocabulary and vocabulary > 1 and not scope.absent("target_probs"):
        near = max(1e-6, 2 * scope.bands.p.relative)
        flat = (pos.p > (1.0 - near) / vocabulary) & (pos.p < (1.0 + near) / vocabulary)
        found["uniform_p"] = by_step(flat)
    return found


def _repeats(steps: pl.DataFrame) -> pl.DataFrame:
    """Longest stretch of ids in which each equals the one `period` before it, for requests within the budget."""
    empty = dict.fromkeys(("loop_run", "loop_period", "loop_seen", "grams", "distinct"), pl.Int64)
    schema = {"hash": pl.UInt64, **empty}
    sizes = steps.group_by("hash").agg(n=pl.col("output_token_ids").list.len().sum())
    chosen = sizes.sort("hash").filter(pl.col("n").cum_sum() - pl.col("n") < TOKENS).filter(pl.col("n") > PERIOD)
    if chosen.is_empty():
        return pl.DataFrame(schema=schema)
    chosen = chosen.with_row_index("code").select("hash", "code", "n")
    tokens = (
        steps.join(chosen, on="hash")
        .sort("code", "step", maintain_order=True)
        .select("code", "output_token_ids")
        .explode("output_token_ids", empty_as_null=False, keep_nulls=False)
    )
    codes, ids = tokens["code"].to_numpy().astype(np.int64), tokens["output_token_ids"].fill_null(-1).to_numpy()
    run, period = np.zeros(chosen.height, np.int64), np.zeros(chosen.height, np.int64)
    for lag in range(1, PERIOD + 1):
        longest = _longest(codes, ids, lag, chosen.height)
        better = longest > run
        run[better], period[better] = longest[better], lag
    found = chosen.select("hash", "code").with_columns(
        loop_run=pl.Series(run), loop_period=pl.Series(period), loop_seen=chosen["n"].cast(pl.Int64)
    )
    return found.join(_grams(codes, ids), on="code", how="left", maintain_order="left").drop("code")


def _grams(codes: Ints, ids: Ints) -> pl.DataFrame:
    """grams and distinct by code."""
    last = max(len(ids) - GRAM + 1, 0)
    whole = codes[:last] == codes[len(codes) - last :]
    stretch = {f"t{i}": ids[i : last + i][whole] for i in range(GRAM)}
    table = pl.DataFrame({"code": codes[:last][whole].astype(np.uint32), **stretch}).group_by("code")
    return table.agg(grams=pl.len().cast(pl.Int64), distinct=pl.struct(*stretch).n_unique().cast(pl.Int64))


def _longest(codes: Ints, ids: Ints, lag: int, n: int) -> Ints:
    """Per request, the longest stretch that repeats with period `lag`, the first period included; 0 where none."""
    out = np.zeros(n, dtype=np.int64)
    same = (ids[lag:] == ids[:-lag]) & (codes[lag:] == codes[:-lag])
    if np.count_nonzero(same) < lag:  # less than one full repetition is no loop
        return out
    edges = np.flatnonzero(np.diff(np.concatenate(([False], same, [False])).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2]
    keep = ends - starts >= lag
    np.maximum.at(out, codes[starts[keep]], (ends - starts)[keep] + lag)
    return out
