"""The `time` section of the document: ledger, baseline, speed-up with its interval or bounds, the bottleneck."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.results.not_checked import NotChecked
from sdtrace.schema.arrays import Floats
from sdtrace.schema.run import Run
from sdtrace.speed.baseline import Baseline, baseline
from sdtrace.speed.formulas import tokens_per_step
from sdtrace.speed.ledger import Ledger, ledger
from sdtrace.speed.strata import sessions
from sdtrace.stats.jackknife import GROUPS, Interval, groups, jackknife, summed
from sdtrace.stats.ratio import student
from sdtrace.stats.wander import wander

#: Acceptance by position that a drafter which fits its target reaches (EAGLE on Vicuna: .79, .74, .72, .73).
REFERENCE = 0.8

#: What makes two runs one configuration.
_SAME = ("engine", "engine_version", "method", "target_model", "draft_model", "num_draft_tokens")


@dataclass(frozen=True)
class Timing:
    """What the tally says about speed. `cost`, `places`, `blocks` are its frames for the runs that are looked at;
    `requests` has tags and times of their requests. `width`: seconds of a stretch of `blocks` times FINE, None where steps have no
    time of day. The rest is None where no step has a duration."""

    runs: list[str]
    run: Run
    cost: pl.DataFrame
    places: pl.DataFrame
    blocks: pl.DataFrame
    requests: pl.DataFrame
    ledger: Ledger | None = None
    baseline: Baseline | None = None
    tokens: float | None = None
    drafted: float = 0.0
    baseline_ms: float | None = None
    speedup: Interval | None = None
    bounds: tuple[float | None, float | None] = (None, None)
    gains: Mapping[str, float | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    width: float | None = None

    @property
    def document(self) -> dict[str, Any] | None:
        """The section, keys of vocabulary first; None where no step has a time."""
        if self.ledger is None or self.baseline is None:
            return None
        told = self.speedup
        low, high = self.bounds
        return {
            "step_ms": self.ledger.step,
            "draft_ms": self.ledger.parts["draft"],
            "verify_ms": self.ledger.parts["verify"],
            "sample_ms": self.ledger.parts["sample"],
            "unattributed_ms": self.ledger.unattributed,
            "baseline_ms": self.baseline_ms,
            "baseline_basis": self.baseline.basis,
            "speedup": None if told is None else told.value,
            "speedup_low": low if told is None else told.low,
            "speedup_high": high if told is None else told.high,
            "break_even_tokens_per_step": self.ledger.step / self.baseline_ms if self.baseline_ms else None,
            "bottleneck": self.bottleneck,
            "gain_if_removed": dict(self.gains),
            "hidden_ms": self.ledger.hidden,
            "tokens_per_step": self.tokens,
            "engine_steps": self.ledger.steps,
            "baseline_why": self.baseline.why,
            "baseline_ask": self.baseline.ask,
        }

    @property
    def bottleneck(self) -> str | None:
        """The term whose removal gains most; None where nothing is drafted or no gain is known."""
        known = {name: gain for name, gain in self.gains.items() if gain is not None and gain > 0.02}
        return max(known, key=lambda name: known[name]) if known and self.drafted else None


def timing(audit: Audit, given: float | None = None) -> Timing | None:
    """Speed of the configuration that has most of the steps; None where nothing was read."""
    places, cost = audit.tally.frame("places"), audit.tally.frame("cost")
    if places.is_empty():
        return None
    runs, notes = _runs(audit, places)
    mine = pl.col("run_id").is_in(runs)
    told = Timing(
        runs,
        audit.runs.get(runs[0], Run()),
        cost.filter(mine) if not cost.is_empty() else cost,
        places.filter(mine),
        audit.tally.frame("blocks").filter(mine),
        audit.requests.filter(mine),
        drafted=float(places.filter(mine)["drafted"].sum()),
        notes=notes,
        width=audit.tally.width if audit.tally.frame("laws")["first_at"].null_count() == 0 else None,
    )
    if told.cost.is_empty():
        return told
    decode = told.cost.filter(pl.col("prefill") == 0)
    spent = ledger(decode) if decode.height else None
    twins = _plain_twins(audit, told.run) & ~mine
    base = baseline(told.cost, cost.filter(twins), given, mean_step(told.blocks))
    if spent is None or base is None:
        return told
    return _measured(told, decode, spent, base, audit.tally.frame("blocks").filter(twins))


def unmeasured(timing: Timing | None) -> list[NotChecked]:
    """What could not be said about speed, and what to record for it."""
    if timing is None or timing.ledger is None or timing.baseline is None:
        return [NotChecked("durations")]
    notes = [NotChecked("said", {"says": note}) for note in timing.notes]
    absent = [f"{name}_ms" for name, part in timing.ledger.parts.items() if part is None]
    if absent:
        notes.append(NotChecked("parts", {"columns": ", ".join(absent)}))
    if timing.drafted and timing.baseline.plain is None:
        notes.append(NotChecked("speed-bounds", {"why": timing.baseline.why, "ask": timing.baseline.ask}))
    return notes


def _runs(audit: Audit, places: pl.DataFrame) -> tuple[list[str], list[str]]:
    """Runs of the configuration with most drafting steps, and what was left out."""
    by = places.group_by("run_id", maintain_order=True).agg(pl.col("drafting", "lines").sum())
    keys = {run: tuple(getattr(audit.runs.get(run, Run()), name) for name in _SAME) for run in by["run_id"].to_list()}
    weight: dict[tuple[Any, ...], tuple[float, float]] = {}
    for row in by.iter_rows(named=True):
        a, b = weight.get(keys[row["run_id"]], (0.0, 0.0))
        weight[keys[row["run_id"]]] = (a + row["drafting"], b + row["lines"])
    best = max(weight, key=lambda key: weight[key])
    runs = [run for run in keys if keys[run] == best]
    left = [run for run in keys if keys[run] != best]
    told = (
        [f"speed of {len(left)} other runs (another configuration): the time section is of {runs[0]!r}"] if left else []
    )
    return runs, told


def _plain_twins(audit: Audit, run: Run) -> pl.Expr:
    """Runs of the same target on the same engine: their plain steps are a baseline."""
    same = [
        name
        for name, other in audit.runs.items()
        if (other.engine, other.target_model) == (run.engine, run.target_model)
    ]
    return pl.col("run_id").is_in(same)


def _measured(timing: Timing, decode: pl.DataFrame, spent: Ledger, base: Baseline, elsewhere: pl.DataFrame) -> Timing:
    sums = _sums(decode, base.plain)
    lines, gained, wt, w, worth, plain_w = (float(x) for x in sums.sum(axis=0))
    tokens = gained / lines
    gains: dict[str, float | None] = {
        "draft": None if spent.parts["draft"] is None else _without(spent.step, spent.parts["draft"]),
        "verify": None,
        "overhead": _without(spent.step, spent.overhead) if spent.parts["verify"] is not None else None,
        "acceptance": _better_acceptance(timing.places, tokens),
    }
    found = {"ledger": spent, "baseline": base, "tokens": tokens}
    if not timing.drafted:
        return Timing(**(vars(timing) | found | {"baseline_ms": spent.step}))
    if base.plain is None:
        return Timing(**(vars(timing) | found | {"gains": gains, "bounds": _bounds(timing, decode, base)}))
    baseline_ms = plain_w / w
    gains["verify"] = _without(spent.step, max(spent.step - (spent.parts["draft"] or 0.0) - baseline_ms, 0.0))
    whole = _interval(timing, base, worth / wt, _weather(timing, base, elsewhere))
    return Timing(**(vars(timing) | found | {"gains": gains, "baseline_ms": baseline_ms, "speedup": whole}))


def _weather(timing: Timing, base: Baseline, elsewhere: pl.DataFrame) -> float:
    """What the speed-up is off by because the mean step is one of some weather: nothing where the plain steps stand among the
    others and had the same. `elsewhere`: stretches of the runs that the plain steps are of."""
    if base.basis == "regression" or (base.basis == "plain-steps" and base.own >= 0.5):
        return 0.0
    other = mean_step(elsewhere) if base.basis == "plain-steps" and not elsewhere.is_empty() else 0.0
    return float(np.hypot(mean_step(timing.blocks), other))


def _without(step: float, part: float) -> float | None:
    """Relative gain of throughput if `part` ms of a step were gone."""
    return part / (step - part) if part < step else None


def _better_acceptance(places: pl.DataFrame, tokens: float) -> float | None:
    """Relative gain of tokens per step if every position were accepted as by a drafter that fits (REFERENCE)."""
    depth = float(places["drafted"].sum()) / max(float(places["lines"].sum()), 1.0)
    if depth <= 0:
        return None
    # a mean draft length between two whole ones is a mixture of them
    k, part = int(depth), depth - int(depth)
    best = (1 - part) * tokens_per_step(REFERENCE, k) + part * tokens_per_step(REFERENCE, k + 1)
    return max(best / tokens - 1, 0.0)


def _sums(rows: pl.DataFrame, plain: Any) -> Floats:
    """Columns of sums: lines, tokens, w t, w, worth (the time that plain decoding takes for the same tokens), w t1."""
    w, timed, tokens, wt = (rows[n].to_numpy().astype(np.float64) for n in ("w", "timed", "timed_tokens", "wt"))
    with np.errstate(all="ignore"):
        batch = np.where(w > 0, timed / np.where(w > 0, w, 1), 1.0)
        share = np.where(timed > 0, w / np.where(timed > 0, timed, 1), 0.0)
    t1 = plain(batch) if plain is not None else np.zeros_like(w)
    return np.stack([timed, tokens, wt, w, tokens * share * t1, w * t1], axis=1)


def _interval(timing: Timing, base: Baseline, value: float, weather: float) -> Interval:
    """The speed-up: sessions of requests clustered, what the mean step is off by the weather, the baseline's own error and misfit."""
    # where the weather is added, it is not to be in what requests differ by as well
    sampled = _sampled(timing, _sums(timing.places, base.plain), tokens=weather > 0)
    if sampled is None:
        return Interval(value, None, None)
    half = np.hypot(np.hypot(sampled, weather), 1.96 * base.error) + base.margin
    return Interval(value, float(value * np.exp(-half)), float(value * np.exp(half)))


def _sampled(timing: Timing, sums: Floats, *, tokens: bool = False) -> float | None:
    """Half of the 95% interval of ln(worth / time), or of ln(`tokens` per step), by sessions of requests; None where they are too
    few. `sums`: of the places."""
    above, below = (1, 0) if tokens else (4, 2)
    (group,) = groups([sessions(timing.places, timing.requests)])
    found = jackknife(summed(group, sums, GROUPS), lambda s: np.log(s[..., above] / s[..., below]))[0]
    return None if found.low is None or found.high is None else (found.high - found.low) / 2


def mean_step(blocks: pl.DataFrame) -> float:
    """Half of the 95% interval of the logarithm of the mean step, by stretches of time that are like their neighbours; 0 where they
    are too few to tell. `blocks`: the tally's frame."""
    table = blocks.group_by("bucket").agg(pl.col("w", "wt").sum()).filter(pl.col("w") > 0).sort("bucket")
    w, wt = (table[name].to_numpy().astype(np.float64) for name in ("w", "wt"))
    found = wander(((wt - w * wt.sum() / w.sum()) / wt.sum())[:, None]) if len(w) else None
    if found is None:
        return 0.0
    variance, freedom = found
    return student(0.975, max(int(freedom[0]), 2)) * float(np.sqrt(variance[0]))


def _bounds(timing: Timing, decode: pl.DataFrame, base: Baseline) -> tuple[float | None, float | None]:
    """Speed-up if plain steps took as little, or as much, as the trace allows; each end with its sampling error."""
    high = _sums(decode, base.high).sum(axis=0)
    low = _sums(decode, base.low).sum(axis=0) if base.low is not None else None
    wide = np.exp(_sampled(timing, _sums(timing.places, base.high)) or 0.0)
    return (float(low[4] / low[2] / wide) if low is not None and low[4] > 0 else None), float(high[4] / high[2] * wide)
