"""Slow because of the draft length: positions that cost more than they bring, or that would bring more than they cost."""

import numpy as np
import polars as pl

from sdtrace.results.draft_length import OtherLength
from sdtrace.results.numbers import ms
from sdtrace.schema.arrays import Floats
from sdtrace.speed.cost import StepCost
from sdtrace.speed.finding import Finding, low_rate, total, worst
from sdtrace.speed.timing import Timing
from sdtrace.stats.jackknife import GROUPS, groups, jackknife, summed
from sdtrace.tally.frames import DEPTH

#: Gain from which another draft length is named.
OTHER_TAU = 0.08


def tau_findings(timing: Timing, cost: StepCost) -> list[Finding]:
    """Whether a shorter or a longer draft would pay, at the acceptance by position that was seen."""
    assert timing.ledger is not None
    mine = timing.places.filter(pl.col("drafting") > 0)
    depth = np.array([float(mine[f"v{j}"].sum()) for j in range(DEPTH)])
    drafting = float(mine["drafting"].sum())
    k = int((depth >= 0.5 * drafting).sum()) if drafting >= 50 else 0
    per = _per_token(timing, cost)
    if 0 < k < DEPTH and depth[k] > 0.1 * drafting:
        return []  # drafts of many lengths: somebody chooses them already
    if k < 1 or per is None or (k == DEPTH and mine["v8"].sum() > 0):
        return _deep(timing, mine, per) if k == DEPTH and per is not None else []
    return [one for one in (_shorter(timing, mine, k, per), _longer(timing, mine, k, per, cost)) if one is not None]


def _per_token(timing: Timing, cost: StepCost) -> float | None:
    """ms that one more drafted position adds to a step, at least; None where neither draft nor curve is known."""
    assert timing.ledger is not None
    batch = total(timing.places, "timed") / max(total(timing.places, "w"), 1e-9)
    draft, slope = timing.ledger.parts["draft"], cost.marginal()
    if draft is None and slope is None:
        return None
    token = cost.draft_token if cost.draft_varied else (draft or 0.0) * total(timing.places, "lines") / timing.drafted
    return token + (slope or 0.0) * batch


def _survival(mine: pl.DataFrame, k: int) -> Floats:
    """Sums by request group: accepted at 0 .. k-1, then drafting lines."""
    (group,) = groups([mine["hash"]])
    return summed(group, mine.select([f"a{j}" for j in range(k)] + ["drafting"]).to_numpy(), GROUPS)


def _shorter(timing: Timing, mine: pl.DataFrame, k: int, per: float) -> Finding | None:
    assert timing.ledger is not None
    step = timing.ledger.step
    if k < 2 or per * (k - 1) >= step:
        return None

    def gains(s: Floats) -> Floats:
        tokens = 1 + np.cumsum(s[..., :k] / s[..., k:], axis=-1)
        cost = np.array([step - per * (k - j) for j in range(1, k + 1)])
        return np.asarray(tokens[..., :-1] / tokens[..., -1:] * step / cost[:-1] - 1)

    found = jackknife(_survival(mine, k), gains)
    best = max(range(k - 1), key=lambda i: found[i].value)
    one = found[best]
    if one.value < OTHER_TAU or one.low is None or one.low < 0.02:
        return None
    last = total(mine, f"a{k - 1}") / total(mine, f"v{k - 1}")
    says = f"position {k - 1} of the draft is accepted in {last:.0%} of the steps and costs {ms(per)}"
    length = OtherLength(best + 1, k, one.value, "positions", one.low, one.high)
    return Finding("tau-too-large", "statistical", says, one.value, worst(mine, low_rate()), length=length)


def _deep(timing: Timing, mine: pl.DataFrame, per: float) -> list[Finding]:
    """Drafts longer than the positions that are counted one by one: cut at those."""
    assert timing.ledger is not None
    step, length = timing.ledger.step, timing.drafted / float(mine["drafting"].sum())

    def gains(s: Floats) -> Floats:
        tokens = 1 + np.cumsum(s[..., : DEPTH + 1] / s[..., DEPTH + 1 :], axis=-1)
        cost = np.array([max(step - per * (length - j), 0.05 * step) for j in range(1, DEPTH + 1)])
        return np.asarray(tokens[..., :-1] / tokens[..., -1:] * step / cost - 1)

    found = jackknife(_survival(mine, DEPTH + 1), gains)
    best = max(range(DEPTH), key=lambda i: found[i].value)
    one = found[best]
    if one.value < OTHER_TAU or one.low is None or one.low < 0.02:
        return []
    says, other = (
        f"{length:.0f} tokens are drafted a step",
        OtherLength(best + 1, length, one.value, "cut", one.low, one.high),
    )
    return [Finding("tau-too-large", "statistical", says, one.value, worst(mine, low_rate()), length=other)]


def _longer(timing: Timing, mine: pl.DataFrame, k: int, per: float, cost: StepCost) -> Finding | None:
    """Beyond the last position acceptance is not known; it is taken to go on as it does there, so this is no proof."""
    assert timing.ledger is not None
    step, most = timing.ledger.step, 2 * k + 2

    def gains(s: Floats) -> Floats:
        marginal = s[..., :k] / s[..., k:]
        tokens = 1 + marginal.sum(axis=-1, keepdims=True)
        before = marginal[..., -2:-1] if k > 1 else np.ones_like(tokens)
        going = marginal[..., -1:] / before
        more = np.cumsum(marginal[..., -1:] * going ** np.arange(1, most + 1), axis=-1)
        return np.asarray((tokens + more) / tokens * step / (step + per * np.arange(1, most + 1)) - 1)

    last = total(mine, f"a{k - 1}") / total(mine, f"v{k - 1}")
    if last < 0.6:
        return None
    found = jackknife(_survival(mine, k), gains)
    best = max(range(most), key=lambda i: found[i].value)
    one = found[best]
    if one.value < OTHER_TAU or one.low is None or one.low < 0.05:
        return None
    says = f"all {k} drafted tokens are accepted in {last:.0%} of the steps"
    known = cost.marginal() is not None or timing.baseline_ms is not None
    return Finding(
        "tau-too-small",
        "statistical" if known or per > 0 else "suspected",
        says,
        one.value,
        worst(mine, -pl.col("tested")),
        length=OtherLength(k + best + 1, k, one.value, "extrapolated", one.low, one.high),
    )
