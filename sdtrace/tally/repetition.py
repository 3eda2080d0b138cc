"""Signs of a degenerate target or output, by request: repeated stretches of ids, flat and one-hot target rows."""

import math

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.schema.arrays import Ints
from sdtrace.verify.scope import Scope

#: Tokens of a batch that are looked at for loops (whole requests, by hash), and the longest period looked for.
TOKENS, PERIOD = 15_000, 32
#: Ids of a stretch of which distinct ones are counted.
GRAM = 4
_SCHEMA = {"hash": pl.UInt64()} | dict.fromkeys(
    ("loop_run", "loop_period", "loop_seen", "grams", "distinct"), pl.Int64()
)


def loops(scope: Scope) -> pl.DataFrame:
    """One row a request that was looked at: hash, loop_run, loop_period, loop_seen, grams, distinct.

    `grams` counts its stretches of GRAM ids, `distinct` those that differ (Li et al. 2016, distinct-n), batch by batch.
    """
    lists = scope.pos.lists("output_token_ids")
    hashes, step = scope.steps["hash"].to_numpy(), scope.steps["step"].to_numpy()
    tokens = len(lists.values)
    limit = np.uint64(min(int(2**64 * (TOKENS / max(tokens, 1))), 2**64 - 1))  # whole requests, chosen by hash
    rows = np.flatnonzero(hashes < limit) if tokens > TOKENS else np.arange(len(hashes))
    request, code = np.unique(hashes[rows], return_inverse=True)
    size = np.bincount(code, weights=lists.count[rows], minlength=len(request)).astype(np.int64)
    chosen = (np.cumsum(size) - size < TOKENS) & (size > PERIOD)
    if not chosen.any():
        return pl.DataFrame(schema=_SCHEMA)
    rows, code = rows[chosen[code]], (np.cumsum(chosen) - 1)[code[chosen[code]]]
    order = np.lexsort((step[rows], code))
    rows, code = rows[order], code[order]
    count = lists.count[rows]
    place = np.repeat(lists.start[rows] - (np.cumsum(count) - count), count) + np.arange(int(count.sum()))
    found = _repeats(np.repeat(code, count), lists.values[place].astype(np.int64, copy=False), int(chosen.sum()))
    known = {"hash": request[chosen], "loop_seen": size[chosen]}
    return found.with_columns(**{k: pl.Series(v) for k, v in known.items()}).select(*_SCHEMA)


def degenerate(scope: Scope) -> dict[str, Ints]:
    """Per step: tested positions with a recorded entropy, with a one-hot or flat row, and with p = 1/vocabulary."""
    pos, n = scope.pos, len(scope.pos.count)
    vocabulary = scope.run.vocab_size
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


def _repeats(codes: Ints, ids: Ints, n: int) -> pl.DataFrame:
    """Longest stretch of ids in which each equals the one `period` before it, for each of n requests (`codes`), and grams."""
    run, period = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for lag in range(1, PERIOD + 1):
        longest = _longest(codes, ids, lag, n)
        better = longest > run
        run[better], period[better] = longest[better], lag
    found = pl.DataFrame({"code": np.arange(n, dtype=np.uint32), "loop_run": run, "loop_period": period})
    return found.join(_grams(codes, ids), on="code", how="left", maintain_order="left")


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
