"""Equal uniforms: a bounded sample of drawn values in which equal ones are kept or dropped together.

Each has the value before it in its step with it: two equal pairs are no coincidence even where single values are few.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.tally.tally import Tally
from sdtrace.verify.scope import Scope

_MIX = np.uint64(0x9E3779B97F4A7C15)
#: Values that are hashed at a time, for the processor's cache.
_PIECE = 65_536


def uniforms(scope: Scope, request: pl.Series, tally: Tally) -> None:
    """Add the uniforms of tested positions. `request` is the hash of each step's request (n entries)."""
    pos, r = scope.pos, scope.pos.r
    drawn = scope.judged.tested & (r > 0.0) & (r < 1.0)
    n = int(drawn.sum())
    if not n or not scope.law.draws or scope.watermarked:
        return
    shift = max(0, int(np.ceil(np.log2(max(n, 1) / 32_768))))  # a batch keeps about 32k values at the most
    chosen, mix = _chosen(r, drawn, shift)
    rows, before = pos.row[chosen], r[np.maximum(chosen - 1, 0)]
    behind = pl.Series((pos.position[chosen] > 0) & (before != r[chosen]))  # one draw a step repeats as single values
    pairs = pl.Series(_mixed(before) ^ (mix >> np.uint64(1)))
    steps = scope.steps
    tally.uniforms_shift = shift
    tally.uniforms_seen[str(steps["run_id"][0])] = n
    tally.uniforms = pl.DataFrame(
        {
            "run_id": steps["run_id"][rows],
            "law": pl.Series([scope.law.name], dtype=pl.String).new_from_index(0, len(rows)),
            "mix": mix,
            "pair": pl.select(pl.when(behind).then(pairs)).to_series(),
            "r": r[chosen],
            "request": request[rows],
            "seed": steps["seed"][rows],
            "rank": steps["rank"][rows],
            # the same token of the same chance: requests that were run again are no second use of a draw
            "like": pl.Series(_mixed(pos.p[chosen]) ^ pos.token[chosen].view(np.uint64)),
            "known": steps["has_request"][rows].fill_null(value=False),
        }
    )


def _chosen(
    r: npt.NDArray[np.float64], drawn: npt.NDArray[np.bool_], shift: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.uint64]]:
    """Where values are kept, and the hash of each: one in 2^shift, the same value always or never."""
    places, hashes = [], []
    for begin in range(0, len(r), _PIECE):
        mix, kept = _mixed(r[begin : begin + _PIECE]), drawn[begin : begin + _PIECE]
        if shift:
            kept = kept & (mix >> np.uint64(64 - shift) == 0)
        places.append(np.flatnonzero(kept) + begin)
        hashes.append(mix[kept])
    return np.concatenate(places), np.concatenate(hashes)


def _mixed(r: npt.NDArray[np.float64]) -> npt.NDArray[np.uint64]:
    mix = r.view(np.uint64) * _MIX
    mix ^= mix >> np.uint64(29)
    return np.asarray(mix * _MIX)


def repeats(tally: Tally) -> pl.DataFrame:
    """One row a run and law: run_id, law, n compared, pairs_within, pairs_across, expected, seeds_unknown; the same of
    neighbours: tuples, tuples_expected.

    `pairs_within`: equal values at two tested positions of one request, never lawful. `pairs_across`: in two requests of one rank
    that are known not to share a user seed, at another token or another p. `expected`: n (n - 1) / 2M for the M values that the
    generator has.
    """
    sample = tally.uniforms
    if sample is None:
        return pl.DataFrame()
    rows = []
    one = sample.select("run_id", "law").n_unique() == 1
    for part in [sample] if one else sample.partition_by("run_id", "law", maintain_order=True):
        run_id, law = part.row(0, named=True)["run_id"], part.row(0, named=True)["law"]
        within, across = _equal(part, "mix")
        n, share = part.height, 0.5**tally.uniforms_shift
        values = values_of(part["r"].to_numpy())
        neighbours = part.drop_nulls("pair")
        m = neighbours.height
        rows.append(
            {
                "run_id": run_id,
                "law": law,
                "n": n,
                "pairs_within": within,
                "pairs_across": across,
                "expected": n * (n - 1) / 2 / max(values * share, 1.0),
                "tuples": sum(_equal(neighbours, "pair")),
                "tuples_expected": m * (m - 1) / 2 / max(values**2 * share, 1.0),
                "seeds_unknown": bool((~part["known"]).any()),
            }
        )
    return pl.DataFrame(rows)


def _equal(part: pl.DataFrame, name: str) -> tuple[int, int]:
    """(within, across) requests: pairs of equal entries of a column, without those that a user seed explains, an engine's seed that
    ranks share, or the same requests that were run again."""
    values = np.sort(part[name].to_numpy())
    twice = values[1:][values[1:] == values[:-1]]  # few, as a rule
    if not len(twice):
        return 0, 0
    equal = part.filter(pl.col(name).is_in(pl.Series(twice).implode()))
    within = _pairs(equal, [name, "request"])
    known = equal.filter("known")
    seeded = known.filter(pl.col("seed").is_not_null())
    explained = _across(seeded, [name, "rank", "seed"]) + _across(known, [name, "rank", "like"])
    return within, _across(known, [name, "rank"]) - explained + _across(seeded, [name, "rank", "seed", "like"])


def values_of(r: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """How many values the generator of `r` has: 10^N for N decimals, 3 * 2^m for m-bit floats, 2^24, else 2^53."""
    seen = r[:4096]
    for digits in range(1, 8):
        if np.all(np.abs(seen * 10**digits - np.round(seen * 10**digits)) < 1e-6):
            return float(10**digits)
    if _spelled_short(seen[:64]) and _spelled_short(seen):
        seen = seen.astype(np.float32).astype(np.float64)
    mantissa, _ = np.frexp(seen)
    for bits, values in ((8, 3.0 * 2**7), (11, 3.0 * 2**10)):
        if np.all(np.abs(mantissa * 2**bits - np.round(mantissa * 2**bits)) < 1e-5):
            return values
    grid = seen * 2.0**24
    if np.all(np.abs(grid - np.round(grid)) < 0.02):  # JSON with 9 digits moves a float32 by less than that
        return 2.0**24
    single = np.abs(seen.astype(np.float32).astype(np.float64) - seen) <= 1e-8 * seen
    # a double rounded to float32: 2^23 values in every octave, so that two are equal with probability 1 / (3 * 2^23)
    return 3.0 * 2**23 if single.all() else 2.0**53


def _spelled_short(r: npt.NDArray[np.float64]) -> bool:
    """Whether all of these are float32 in as few digits as tell them apart, which is up to half a step of float32 off."""
    return all(float(str(single)) == value for single, value in zip(r.astype(np.float32), r, strict=True))


def _across(frame: pl.DataFrame, keys: list[str]) -> int:
    """Pairs of equal keys in two requests."""
    return _pairs(frame, keys) - _pairs(frame, [*keys, "request"])


def _pairs(frame: pl.DataFrame, keys: list[str]) -> int:
    if frame.is_empty():
        return 0
    count = frame.group_by(keys).len()["len"]
    return int((count * (count - 1) // 2).sum())
