"""The log change of tokens per second split into terms that add up to it.

tokens per second = A / (D + V + O), by the logarithmic mean Divisia index. A falls into the mix of traffic, the length of
drafts and acceptance; V into the cost curve and the number of verified tokens (Shapley, along a line through verify_ms).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.comparison.arms import Arm, Pair, column, names_of, over_time, two_sided, wider
from sdtrace.schema.arrays import Floats
from sdtrace.stats.jackknife import GROUPS, Interval
from sdtrace.stats.lmdi import curve_and_batch, log_mean, mix_and_within, throughput_change
from sdtrace.stats.ratio import FEWEST
from sdtrace.tally.frames import DEPTH

#: Strata of the mix; F below which a key of requests explains nothing.
STRATA, EXPLAINS = 40, 6.0


@dataclass(frozen=True)
class Term:
    """A term of the log change; all of them add up to the whole."""

    name: str
    change: Interval


@dataclass(frozen=True)
class Attribution:
    """`strata`: the keys of requests that the mix was split by."""

    terms: list[Term]
    strata: list[str]


def attribution(both: Pair) -> Attribution:
    """Every term with its interval. Without durations on both sides, the change of tokens per step alone."""
    keys = _strata(both)
    codes, count = _codes(both, keys)
    timed = all(column(side, "w").sum() > 0 for side in both.sums)
    names = _names(both) if timed else []
    wide = tuple(
        _with_strata(side, arm, group, code, count, timed=timed)
        for side, arm, group, code in zip(both.sums, (both.base, both.candidate), both.group, codes, strict=True)
    )
    size = both.sums[0].shape[1]

    def terms(one: Floats, other: Floats) -> Floats:
        tokens = _tokens(one, other, size, count, timed=timed)
        if not timed:
            return np.stack(tokens, axis=-1)
        return np.stack([*tokens, *_time(one, other, names)], axis=-1)

    found = two_sided((wide[0], wide[1]), terms, both.freedom)
    labels = ["traffic-mix", "draft-length", "acceptance", *names]
    if timed:
        halves = over_time(both.blocks, lambda one, other: np.stack(_time(one, other, names), axis=-1))
        late = [Interval(a.value, None, None) for a in found[3:]]
        if halves is not None:
            late = [wider(a, half) for a, half in zip(found[3:], halves.tolist(), strict=True)]
        found = found[:3] + late
    if min(both.base.clusters, both.candidate.clusters) < FEWEST:
        found = [Interval(one.value, None, None) for one in found]
    return Attribution([Term(name, one) for name, one in zip(labels, found, strict=True)], keys)


def _names(both: Pair) -> list[str]:
    """Terms of time that both sides know: without verify_ms on both, everything but the draft is one term."""
    draft = ["draft"] if all(column(s, "has_d").sum() > 0 for s in both.sums) else []
    if not all(column(s, "has_v").sum() > 0 for s in both.sums):
        return [*draft, "rest"]
    return [*draft, *(["verify-curve", "verify-batch"] if _separable(both) else ["verify"]), "overhead"]


def _moments(s: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean verified tokens, their variance, slope of verify_ms over them (0 where they do not vary)."""
    w, wn, wnn, wv, wnv = (column(s, name) for name in ("has_v", "wn", "wnn", "wv", "wnv"))
    mean = wn / w
    variance = wnn / w - mean**2
    varied = variance > (0.02 * mean) ** 2
    slope = np.where(varied, (wnv / w - mean * wv / w) / np.where(varied, variance, 1.0), 0.0)
    return mean, variance, np.maximum(slope, 0.0)


def _separable(both: Pair) -> bool:
    """Curve and batch can be told apart where tokens vary within the sides enough to reach from one to the other, or
    where they hardly differ between them."""
    (n0, v0, _), (n1, v1, _) = (_moments(side.sum(axis=0)) for side in both.sums)
    reach = 3 * np.sqrt(max(float(v0), 0.0)) + 3 * np.sqrt(max(float(v1), 0.0))
    return bool(abs(n1 - n0) <= max(reach, 0.03 * float(max(n0, n1))))


def _time(one: Floats, other: Floats, names: list[str]) -> list[Floats]:
    steps = [column(s, "wt") / column(s, "w") for s in (one, other)]
    hidden = [column(s, "wh") for s in (one, other)]
    draft = [np.maximum(column(s, "wd") - h, 0) / column(s, "w") for s, h in zip((one, other), hidden, strict=True)]
    verify = [column(s, "wv") / column(s, "w") for s in (one, other)]
    parts: dict[str, tuple[Floats, Floats]] = {}
    if "draft" in names:
        parts["draft"] = (draft[0], draft[1])
    if "rest" not in names:
        parts["verify"] = (verify[0], verify[1])
    rest = [step - sum((part[i] for part in parts.values()), np.zeros_like(step)) for i, step in enumerate(steps)]
    parts["rest" if "rest" in names else "overhead"] = (rest[0], rest[1])
    tokens = np.ones_like(steps[0])
    found = throughput_change((tokens, tokens), parts)
    if "verify-curve" in names:
        (n0, _, b0), (n1, _, b1) = _moments(one), _moments(other)
        v0, v1 = verify
        curve, batch = curve_and_batch(v0, v0 + b0 * (n1 - n0), v1 + b1 * (n0 - n1), v1)
        mean = log_mean(steps[1], steps[0])
        found |= {"verify-curve": -curve / mean, "verify-batch": -batch / mean}
    return [np.asarray(found[name]) for name in names]


def _tokens(one: Floats, other: Floats, size: int, count: int, *, timed: bool) -> list[Floats]:
    """Mix, draft length and acceptance, in units of the log of tokens per step."""
    blocks = [_unstacked(s[..., size:], count) for s in (one, other)]
    n0, n1 = blocks[0][..., 0, :], blocks[1][..., 0, :]
    a0, a1 = (b[..., 1, :] / np.where(n > 0, n, 1) for b, n in zip(blocks, (n0, n1), strict=True))
    a0, a1 = np.where(n0 > 0, a0, a1), np.where(n1 > 0, a1, a0)
    share0, share1 = n0 / n0.sum(-1, keepdims=True), n1 / n1.sum(-1, keepdims=True)
    mix, within = mix_and_within((share0, share1), (a0, a1))
    length = (_length(blocks[0], blocks[1]) * (share0 + share1) / 2).sum(-1)
    tokens = [(share * a).sum(-1) for share, a in ((share0, a0), (share1, a1))]
    scale = log_mean(tokens[1], tokens[0])
    return [mix.sum(-1) / scale, length / scale, (within.sum(-1) - length) / scale]


def _length(one: Floats, other: Floats) -> Floats:
    """What the lengths of drafts alone change, by stratum: sum over positions of the change of their share x acceptance."""
    total = np.zeros_like(one[..., 0, :])
    lines = [np.where(s[..., 2, :] > 0, s[..., 2, :], 1) for s in (one, other)]
    for j in range(DEPTH + 1):
        v0, v1 = (s[..., 3 + j, :] for s in (one, other))
        a0, a1 = (s[..., 4 + DEPTH + j, :] for s in (one, other))
        m0, m1 = a0 / np.where(v0 > 0, v0, 1), a1 / np.where(v1 > 0, v1, 1)
        m0, m1 = np.where(v0 > 0, m0, m1), np.where(v1 > 0, m1, m0)
        total = total + (v1 / lines[1] - v0 / lines[0]) * (m0 + m1) / 2
    empty = (one[..., 2, :] == 0) | (other[..., 2, :] == 0)  # a stratum of one side is mix, and nothing else
    return np.where(empty, 0.0, total)


def _with_strata(
    sums: Floats, arm: Arm, group: npt.NDArray[np.int64], code: npt.NDArray[np.int64], count: int, *, timed: bool
) -> Floats:
    """Sums by group with, behind them, those by stratum: weight, tokens, lines, then the depths."""
    pairs = ("timed", "timed_tokens") if timed else ("lines", "tokens")
    names = [*pairs, "lines", *(f"v{j}" for j in range(DEPTH + 1)), *(f"a{j}" for j in range(DEPTH + 1))]
    rows = [arm.joined[name].to_numpy() for name in names]
    place = group * count + code
    by = np.stack([np.bincount(place, weights=values, minlength=GROUPS * count) for values in rows], axis=0)
    stacked = by.reshape(len(names), GROUPS, count).transpose(1, 0, 2).reshape(GROUPS, -1)
    return np.concatenate([sums, stacked], axis=1)


def _unstacked(s: Floats, count: int) -> Floats:
    return s.reshape(*s.shape[:-1], -1, count)


def _codes(both: Pair, keys: list[str]) -> tuple[list[npt.NDArray[np.int64]], int]:
    """A stratum for every row of each side; rare ones together."""
    sides = (both.base, both.candidate)
    if not keys:
        return [np.zeros(arm.joined.height, dtype=np.int64) for arm in sides], 1
    labels = [arm.joined.select(pl.concat_str(keys, separator="\x1f", ignore_nulls=True)).to_series() for arm in sides]
    weights = [arm.joined["lines"] for arm in sides]
    common = (
        pl.DataFrame({"label": pl.concat(labels), "lines": pl.concat(weights)})
        .group_by("label", maintain_order=True)
        .agg(pl.col("lines").sum())
        .sort("lines", "label", descending=[True, False])
        .head(STRATA)["label"]
    )
    place = {label: i for i, label in enumerate(common)}
    codes = [label.replace_strict(place, default=len(place), return_dtype=pl.Int64).to_numpy() for label in labels]
    return codes, len(place) + 1


def _strata(both: Pair) -> list[str]:
    """The one or two keys of requests that explain most of what requests gain per step, judged within the sides."""
    arms = (both.base, both.candidate)
    names = names_of(arms)
    rows = pl.concat(
        [
            arm.joined.group_by("hash", maintain_order=True).agg(
                pl.col("lines", "tokens").sum(), *(pl.col(n).first() for n in names), side=pl.lit(i)
            )
            for i, arm in enumerate(arms)
        ],
        how="vertical_relaxed",
    ).with_columns(value=pl.col("tokens") / pl.col("lines"))
    if rows.height < 10:
        return []
    chosen: list[str] = []
    while len(chosen) < 2:
        scores = {name: _explained(rows, chosen, name) for name in names if name not in chosen}
        best = max(scores, key=lambda name: scores[name], default=None)
        if best is None or scores[best] < EXPLAINS:
            break
        chosen.append(best)
    return chosen


def _explained(rows: pl.DataFrame, chosen: list[str], name: str) -> float:
    """F of adding a key to those chosen: variance between its levels over variance within them, within the sides."""
    old, new = ["side", *chosen], ["side", *chosen, name]
    by_new = rows.group_by(new).len()
    if by_new.height > STRATA * 2:
        return 0.0
    mean = (pl.col("value") * pl.col("lines")).sum() / pl.col("lines").sum()
    told = rows.with_columns(old=mean.over(old), new=mean.over(new))
    weight = told["lines"]
    between = float((weight * (told["new"] - told["old"]) ** 2).sum())
    inside = float((weight * (told["value"] - told["new"]) ** 2).sum())
    extra, spare = by_new.height - rows.group_by(old).len().height, rows.height - by_new.height
    if extra <= 0 or spare <= 0:
        return 0.0
    return (between / extra) / max(inside / spare, 1e-12)
