"""Slow because too little is accepted: which kind, where, and since when."""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.results.numbers import per_step
from sdtrace.schema.arrays import Floats
from sdtrace.speed.finding import ENOUGH, LACKS, PICKED, Finding, looks_up, low_rate, worst
from sdtrace.speed.slow_decay import decays
from sdtrace.speed.strata import attributes, levels, tag_levels
from sdtrace.speed.timing import Timing
from sdtrace.stats.jackknife import GROUPS, Interval, groups, jackknife, summed
from sdtrace.stats.lmdi import mix_and_within

#: First-position acceptance below which a drafter does not follow its target at all.
MISWIRED = 0.2
#: Acceptance of tested tokens below which speculation hardly gains.
LOW = 0.45
#: Sessions of a slice below which nothing is said about it.
SESSIONS = 5
#: A speed-up that makes low acceptance nobody's business.
PAYS = 1.5


def rate(places: pl.DataFrame, above: str = "accepted", below: str = "tested") -> Interval:
    """sum(above) / sum(below), clustered by session."""
    (group,) = groups([places["session"]])
    sums = summed(group, places.select(above, below).to_numpy(), GROUPS)
    found = jackknife(sums, lambda s: s[..., :1] / s[..., 1:])[0]
    return _as_rate(found)


def _as_rate(interval: Interval) -> Interval:
    if interval.low is None or interval.high is None:
        return interval
    return Interval(interval.value, max(interval.low, 0.0), min(interval.high, 1.0))


def acceptance_findings(timing: Timing) -> list[Finding]:
    """Every finding about acceptance; each looks at lines that drafted."""
    places = timing.places
    if places["drafting"].sum() < ENOUGH or looks_up(timing.run.method):
        return []
    joined = attributes(places, timing.requests)
    found = [_miswired(timing, joined), *decays(timing, joined), _shift(timing, joined)]
    found += [_slice(timing, joined), _everywhere(timing, joined)]
    return [one for one in found if one is not None]


def _gain(timing: Timing) -> float:
    return float(timing.gains.get("acceptance") or 0.0)


def _miswired(timing: Timing, joined: pl.DataFrame) -> Finding | None:
    """Nothing like the target's text, from the first position on and in every slice; or only from the second on."""
    first = rate(joined, "a0", "v0")
    if first.high is not None and first.high < MISWIRED and not _somewhere_good(joined):
        says = f"{first.value:.1%} of first drafted tokens are accepted ({first.low:.1%} to {first.high:.1%}), in every slice"
        return Finding("drafter-miswired", "statistical", says, max(_gain(timing), 1.0), worst(joined, low_rate()))
    if joined["v1"].sum() < ENOUGH or joined["a0"].sum() < ENOUGH:
        return None
    second = rate(joined, "a1", "a0")
    if first.low is not None and first.low > 0.35 and second.high is not None and second.high < 0.12:
        says = (
            f"the first drafted token is accepted at {first.value:.0%}, the second only at {second.value:.1%} behind an "
            "accepted first: the drafter's own state is not carried to the next position"
        )
        return Finding("drafter-miswired", "statistical", says, max(_gain(timing), 0.5), worst(joined, low_rate()))
    return None


def _somewhere_good(joined: pl.DataFrame) -> bool:
    for name in levels(joined):
        by = joined.group_by(name, maintain_order=True).agg(pl.col("a0", "v0").sum()).filter(pl.col("v0") >= ENOUGH)
        if by.height > 1 and by.filter(pl.col("a0") > 0.5 * pl.col("v0")).height:
            return True
    return False


def _shift(timing: Timing, joined: pl.DataFrame) -> Finding | None:
    """The mix of traffic changed during the trace: acceptance of every slice is what it was."""
    names = tag_levels(joined)
    if not names or joined["first_at"].null_count():
        return None
    starts = joined.group_by("hash", maintain_order=True).agg(pl.col("first_at").min()).sort("first_at")
    best: tuple[float, Finding] | None = None
    for cut in (0.25, 0.375, 0.5, 0.625, 0.75):
        at = starts["first_at"][int(cut * starts.height)]
        late = starts.filter(pl.col("first_at") >= at)["hash"]
        arm = joined["hash"].is_in(late.implode()).to_numpy()
        for name in names:
            one = _mix(timing, joined, name, arm)
            if one is not None and (best is None or one[0] < best[0]):
                best = one
    return best[1] if best is not None else None


def _mix(timing: Timing, joined: pl.DataFrame, name: str, arm: npt.NDArray[np.bool_]) -> tuple[float, Finding] | None:
    kinds = joined[name].fill_null("none")
    codes = kinds.rank("dense").to_numpy().astype(np.int64) - 1
    size = int(codes.max()) + 1
    if not 2 <= size <= 40:
        return None
    (group,) = groups([joined["session"]])
    place = codes + size * arm
    width = 2 * size
    lines, tokens = (
        np.stack(
            [np.bincount(group, weights=joined[c].to_numpy() * (place == p), minlength=GROUPS) for p in range(width)], 1
        )
        for c in ("lines", "tokens")
    )

    def split(s: Floats) -> Floats:
        n, t = s[..., :width], s[..., width:]
        (n0, n1), (t0, t1) = ((part[..., :size], part[..., size:]) for part in (n, t))
        a0, a1 = t0 / np.where(n0 > 0, n0, 1), t1 / np.where(n1 > 0, n1, 1)
        a0, a1 = np.where(n0 > 0, a0, a1), np.where(n1 > 0, a1, a0)
        share0, share1 = n0 / n0.sum(-1, keepdims=True), n1 / n1.sum(-1, keepdims=True)
        mix, within = mix_and_within((share0, share1), (a0, a1))
        return np.stack([mix.sum(-1), within.sum(-1)], axis=-1)

    mix, within = jackknife(np.concatenate([lines, tokens], axis=1), split)
    mean = tokens.sum() / lines.sum()
    if mix.high is None or mix.low is None or mix.value > -0.05 * mean or -mix.value < 2 * max(-within.value, 0.0):
        return None
    if mix.value + PICKED / 2 * (mix.high - mix.value) >= 0:
        return None
    share = [lines.sum(0)[size * i : size * (i + 1)] / lines.sum(0)[size * i : size * (i + 1)].sum() for i in (0, 1)]
    grown = int(np.argmax(share[1] - share[0]))
    level = str(kinds.filter(codes == grown)[0])
    where = {name: level}
    cost = f"{per_step(-mix.value)} tokens per step ({per_step(-mix.high)} to {per_step(-mix.low)})"
    says = (
        f"{name}={level} grew from {share[0][grown]:.0%} to {share[1][grown]:.0%} of the steps; the new mix alone costs "
        f"{cost}, acceptance within slices {within.value:+.2f}"
    )
    rows = joined.filter((kinds == level) & pl.Series(arm))
    return mix.value, Finding(
        "traffic-shift", "statistical", says, -mix.value / mean, worst(rows, low_rate(), where=where)
    )


def _slice(timing: Timing, joined: pl.DataFrame) -> Finding | None:
    """The slice that lacks most against the rest, where it is low in itself."""
    best: tuple[float, dict[str, Any]] | None = None
    total, accepted = float(joined["tested"].sum()), float(joined["accepted"].sum())
    for name in levels(joined):
        by = joined.group_by(name, maintain_order=True).agg(
            pl.col("tested", "accepted").sum(), pl.col("session").n_unique().alias("sessions")
        )
        if not 2 <= by.height <= 60:
            continue
        for level, t, a, sessions in by.drop_nulls(name).sort(name).iter_rows():
            if sessions < SESSIONS or t < max(ENOUGH, 0.02 * total) or total - t < ENOUGH:
                continue
            lack = a / t - (accepted - a) / (total - t)
            if lack < -LACKS and (best is None or lack * t < best[0]):
                best = (lack * t, {"name": name, "level": level, "share": t / total})
    if best is None:
        return None
    name, level = best[1]["name"], best[1]["level"]
    inside = (joined[name] == level).fill_null(value=False)
    gap, low = _gap(joined, inside.to_numpy())
    if gap.high is None or gap.value + PICKED / 2 * (gap.high - gap.value) >= 0 or low.high is None or low.high > 0.5:
        return None
    says = (
        f"{name}={level} ({best[1]['share']:.0%} of what is tested) accepts {low.value:.0%} ({low.low:.0%} to {low.high:.0%}), "
        f"everything else {low.value - gap.value:.0%}"
    )
    gain = -gap.value * best[1]["share"] / max(accepted / total, 1e-9)
    rows = joined.filter(inside)
    return Finding("low-acceptance", "statistical", says, gain, worst(rows, low_rate(), where={name: str(level)}))


def _gap(joined: pl.DataFrame, inside: npt.NDArray[np.bool_]) -> tuple[Interval, Interval]:
    t, a = joined["tested"].to_numpy(), joined["accepted"].to_numpy()
    (group,) = groups([joined["session"]])
    fewest = min(joined["session"].filter(pl.Series(part)).n_unique() for part in (inside, ~inside))
    rows = np.stack([a * inside, t * inside, a * ~inside, t * ~inside], axis=1)

    def both(s: Floats) -> Floats:
        mine, rest = s[..., 0] / s[..., 1], s[..., 2] / s[..., 3]
        return np.stack([mine - rest, mine], axis=-1)

    gap, mine = jackknife(summed(group, rows, GROUPS), both, freedom=max(fewest - 1, 1))
    return gap, _as_rate(mine)


def _everywhere(timing: Timing, joined: pl.DataFrame) -> Finding | None:
    """Low as a whole: whether that is slow only a duration can tell."""
    whole = rate(joined)
    most = timing.speedup.high if timing.speedup is not None else timing.bounds[1]
    if timing.ledger is None or whole.high is None or whole.high >= LOW or (most is not None and most > PAYS):
        return None
    says = f"{whole.value:.0%} of tested tokens are accepted ({whole.low:.0%} to {whole.high:.0%}), in no slice in particular"
    return Finding("low-acceptance", "statistical", says, _gain(timing), worst(joined, low_rate()))
