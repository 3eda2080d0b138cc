"""Where the change of tokens per step sits: found on one half of the requests, confirmed on the other, adding up to all.

A slice is one or two predicates over attributes of the request and places of its steps. Slices are taken one after the
other out of what the earlier ones left over, so their contributions and the rest's are the whole change.
"""

import math
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.comparison.arms import Pair, names_of
from sdtrace.schema.arrays import Floats
from sdtrace.stats.jackknife import Interval, jackknife
from sdtrace.stats.ratio import FEWEST

#: Slices that are reported; requests and share of lines that one must hold on each side.
MOST, REQUESTS, SHARE = 4, 20, 0.02
#: Standard errors on the first half from which a slice is a candidate, level of false discoveries on the second.
CANDIDATE, DISCOVERIES = 3.0, 0.005
#: Groups for the search: enough to rank by.
COARSE = 50


@dataclass(frozen=True)
class Slice:
    """`where` is {} for everything else. `contribution` in tokens per step; `confirmed` None for the rest."""

    where: dict[str, str]
    contribution: Interval
    confirmed: bool | None
    base: float | None
    candidate: float | None


@dataclass(frozen=True)
class _Rows:
    """Both sides in one: a column of codes for each attribute, side, group, half, lines and tokens."""

    codes: dict[str, npt.NDArray[np.int64]]
    labels: dict[str, list[str]]
    side: npt.NDArray[np.int64]
    group: npt.NDArray[np.int64]
    half: npt.NDArray[np.int64]
    hash: npt.NDArray[np.uint64]
    session: npt.NDArray[np.uint64]
    lines: Floats
    tokens: Floats


def slices(both: Pair) -> list[Slice]:
    """Up to MOST slices by how sure they are, then everything else; empty where no slice was found."""
    rows = _rows(both)
    left = np.ones(len(rows.lines), dtype=bool)
    taken: list[tuple[dict[str, str], npt.NDArray[np.bool_]]] = []
    while len(taken) < MOST and (found := _best(rows, left & (rows.half == 0))) is not None:
        where, inside = found
        taken.append((where, inside & left))
        left = left & ~inside
    if not taken:
        return []
    sure = _confirmed(rows, [inside for _, inside in taken])
    told = [_slice(rows, where, inside, ok) for (where, inside), ok in zip(taken, sure, strict=True)]
    return [*told, _slice(rows, {}, left, None)]


def _rows(both: Pair) -> _Rows:
    arms = (both.base, both.candidate)
    names = names_of(arms)
    places = ["context", "batch", "graph", "rank"]
    tables = [
        arm.joined.select("hash", "session", "lines", "tokens", *names, *places).with_columns(side=pl.lit(i))
        for i, arm in enumerate(arms)
    ]
    table = pl.concat(tables, how="vertical_relaxed").with_columns(
        context=pl.format("{} tokens or more", 2 ** pl.col("context")),
        batch=pl.format("{} requests or more", 2 ** pl.col("batch")),
        rank=pl.col("rank").cast(pl.String),
    )
    codes, labels = {}, {}
    for name in (*names, *places):
        kinds = table[name].drop_nulls().unique().sort().to_list()
        if 2 <= len(kinds) <= 60:
            place = {kind: i for i, kind in enumerate(kinds)}
            codes[name] = table[name].replace_strict(place, default=-1, return_dtype=pl.Int64).fill_null(-1).to_numpy()
            labels[name] = [str(kind) for kind in kinds]
    hashes = table["session"].to_numpy()  # requests of one session are in the same half and the same group
    mixed = hashes ^ (hashes >> np.uint64(29))
    return _Rows(
        codes,
        labels,
        table["side"].to_numpy().astype(np.int64),
        (mixed % np.uint64(COARSE)).astype(np.int64),
        ((mixed // np.uint64(COARSE)) % np.uint64(2)).astype(np.int64),
        table["hash"].to_numpy(),
        hashes,
        table["lines"].to_numpy(),
        table["tokens"].to_numpy(),
    )


def _contribution(lines: Floats, tokens: Floats, total_lines: Floats, total_tokens: Floats) -> Floats:
    """What slices contribute to the change; all have a last axis of two sides.

    (share1 - share0) (mean value - mean of all) + (value1 - value0) mean share: over a partition they add up to the whole.
    """
    share = lines / total_lines
    value = tokens / np.where(lines > 0, lines, 1)
    value = np.where(lines > 0, value, value[..., ::-1])
    level = (total_tokens / total_lines).mean(axis=-1)
    mix = (share[..., 1] - share[..., 0]) * (value.mean(axis=-1) - level)
    return np.asarray(mix + (value[..., 1] - value[..., 0]) * share.mean(axis=-1))


def _sums(rows: _Rows, chosen: npt.NDArray[np.bool_], code: npt.NDArray[np.int64], count: int) -> Floats:
    """(group, code, side, lines or tokens) sums over the chosen rows; code -1 is left out."""
    use = chosen & (code >= 0)
    place = (rows.group[use] * count + code[use]) * 2 + rows.side[use]
    both = [np.bincount(place, weights=w[use], minlength=COARSE * count * 2) for w in (rows.lines, rows.tokens)]
    return np.asarray(np.stack(both, axis=-1), dtype=np.float64).reshape(COARSE, count, 2, 2)


def _scores(rows: _Rows, chosen: npt.NDArray[np.bool_], code: npt.NDArray[np.int64], count: int) -> Floats:
    """z over groups of requests of what every code contributes beyond its share of the whole change.

    A change that is the same everywhere is in no slice, however large the slice.
    """
    by = _sums(rows, chosen, code, count)
    whole = _sums(rows, chosen, np.zeros(len(code), dtype=np.int64), 1)

    def told(part: Floats, total: Floats) -> Floats:
        mine = _contribution(part[..., 0], part[..., 1], total[..., 0], total[..., 1])
        value = total[..., 1] / total[..., 0]
        share = (part[..., 0] / total[..., 0]).mean(axis=-1)
        return np.asarray(mine - share * (value[..., 1] - value[..., 0]))

    with np.errstate(all="ignore"):
        value = told(by.sum(0), whole.sum(0))
        out = told(by.sum(0) - by, whole.sum(0) - whole)
        error = np.sqrt((COARSE - 1) / COARSE * ((out - out.mean(0)) ** 2).sum(0))
        z = np.where(error > 0, value / error, 0.0)
    lines = by[..., 0].sum(0)
    enough = (lines >= SHARE * lines.sum(axis=0, keepdims=True).clip(1)).any(axis=-1)
    z = np.where(enough & np.isfinite(z), z, 0.0)
    # of two halves that differ, the one that goes with the whole is the one that is told
    with_it = np.sign(z) == np.sign(_direction(whole.sum(0)))
    return np.asarray(np.where(with_it, z, 0.6 * z), dtype=np.float64)


def _direction(whole: Floats) -> float:
    """The change of tokens per step, of sums (1, side, lines or tokens)."""
    value = whole[0, :, 1] / np.maximum(whole[0, :, 0], 1e-9)
    return float(value[1] - value[0])


def _best(rows: _Rows, chosen: npt.NDArray[np.bool_]) -> tuple[dict[str, str], npt.NDArray[np.bool_]] | None:
    """The slice that is surest; a pair only where it is clearly surer than what it is a part of."""
    singles: list[tuple[float, tuple[str, int]]] = []
    for name, code in rows.codes.items():
        z = _scores(rows, chosen, code, len(rows.labels[name]))
        singles += [
            (abs(float(one)), (name, i))
            for i, one in enumerate(z)
            if abs(one) >= CANDIDATE and _held(rows, chosen, code == i)
        ]
    if not singles:
        return None
    singles.sort(key=lambda one: (-one[0], one[1]))
    best, parts = singles[0][0], [singles[0][1]]
    for (one, i), (other, j) in combinations([part for _, part in singles[:6]], 2):
        if one == other:
            continue
        inside = (rows.codes[one] == i) & (rows.codes[other] == j)
        z = _scores(rows, chosen, inside.astype(np.int64), 2)
        if abs(z[1]) > 1.3 * best and _held(rows, chosen, inside):
            best, parts = abs(float(z[1])), [(one, i), (other, j)]
    inside = np.all([rows.codes[name] == i for name, i in parts], axis=0)
    return {name: rows.labels[name][i] for name, i in parts}, inside


def _held(rows: _Rows, chosen: npt.NDArray[np.bool_], inside: npt.NDArray[np.bool_]) -> bool:
    mine = chosen & inside
    return len(np.unique(rows.hash[mine])) >= REQUESTS / 2 and len(np.unique(rows.session[mine])) >= FEWEST / 2


def _confirmed(rows: _Rows, insides: list[npt.NDArray[np.bool_]]) -> list[bool]:
    """Benjamini and Hochberg over the slices' p-values on the half that did not choose them."""
    normal = NormalDist()
    p = []
    for inside in insides:
        half = rows.half == 1
        few = min(len(np.unique(rows.group[half & inside & (rows.side == side)])) for side in (0, 1))
        z = _normal(abs(float(_scores(rows, half, inside.astype(np.int64), 2)[1])), max(few - 1, 1))
        p.append(2 * (1 - normal.cdf(z)))
    order = sorted(range(len(p)), key=lambda i: p[i])
    passed = [rank for rank, i in enumerate(order, start=1) if p[i] <= DISCOVERIES * rank / len(p)]
    sure = set(order[: max(passed, default=0)])
    return [i in sure for i in range(len(p))]


def _normal(t: float, freedom: int) -> float:
    """Student's t with few degrees of freedom as a standard normal deviate (Wallace 1959)."""
    return (8 * freedom + 1) / (8 * freedom + 3) * math.sqrt(freedom * math.log1p(t * t / freedom))


def _slice(rows: _Rows, where: dict[str, str], inside: npt.NDArray[np.bool_], confirmed: bool | None) -> Slice:
    """The slice with its contribution over all requests."""
    every = np.ones(len(inside), dtype=bool)
    by = _sums(rows, every, inside.astype(np.int64), 2)
    found = jackknife(by.reshape(COARSE, -1), _inside)[0]
    lines, tokens = by[:, 1, :, 0].sum(0), by[:, 1, :, 1].sum(0)
    values: list[Any] = [float(t / n) if n else None for t, n in zip(tokens, lines, strict=True)]
    return Slice(where, found, confirmed, values[0], values[1])


def _inside(s: Floats) -> Floats:
    part = s.reshape(*s.shape[:-1], 2, 2, 2)
    total = part.sum(axis=-3)
    return _contribution(part[..., 1, :, 0], part[..., 1, :, 1], total[..., 0], total[..., 1])[..., None]
