"""The part of the traffic that a fault is confined to, and the rule that holds in it; from the bounded sample of steps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.checks.sd206_acceptance_by_slice import words
from sdtrace.diagnosis.law_choice import Choice
from sdtrace.diagnosis.samples import Sample, recovered, recoveries, sampled
from sdtrace.diagnosis.slices import between, pairs
from sdtrace.diagnosis.wrong_rules import Explanation, emitted, explain_decisions
from sdtrace.results.check import Outcome
from sdtrace.schema.arrays import Flags, Floats
from sdtrace.verify.laws import LAWS

#: Share of the wrong decisions that stand in a slice, and chance that they do so by luck.
_HELD, _LUCK = 0.97, 1e-6
#: A slice that holds nearly everything is no slice.
_MOST = 0.8
_NUMBERS = {
    "slot": "slot",
    "batch_size": "batch_size",
    "context_len": "context_len",
    "step": "step",
    "tau": "num_draft_tokens",
}


def places(audit: Audit, steps: pl.DataFrame) -> pl.DataFrame:
    """What is known of every sampled step before its draws, by the names that slices have: numbers, or words."""
    table = steps.select(
        *(pl.col(name).alias(called) for name, called in _NUMBERS.items()),
        pl.col("rank").cast(pl.String),
        "graph",
        hour=(pl.col("at") / 3600.0).floor().cast(pl.Int64, strict=False),
    ).with_columns(hour_of_day=pl.col("hour") % 24)
    cached = audit.requests.select("run_id", "request_id", "cached_tokens")
    hit = steps.select("run_id", "request_id").join(
        cached, on=["run_id", "request_id"], how="left", maintain_order="left"
    )
    said = pl.when(hit["cached_tokens"] > 0).then(pl.lit("yes")).otherwise(pl.lit("no"))
    table = table.with_columns(prefix_hit=pl.when(hit["cached_tokens"].is_not_null()).then(said))
    held = {tags: dict(pairs(tags)) for tags in steps["tags"].unique(maintain_order=True)}
    keys = dict.fromkeys(key for one in held.values() for key in one)
    tagged = {f"tags.{key}": [held[tags].get(key) for tags in steps["tags"]] for key in keys}
    return table.with_columns(pl.Series(name, values, pl.String) for name, values in tagged.items())


def _inside(frame: pl.DataFrame, where: Mapping[str, str], bounds: Mapping[str, Any]) -> pl.Series:
    """Which rows of `places` (with `position` where rows are positions) belong to a slice."""
    ((by, value),) = where.items()
    if by not in frame.columns:
        return pl.Series([True]).new_from_index(0, frame.height)
    if "from" not in bounds:
        return (frame[by] == value).fill_null(value=False)
    low, high = bounds["from"], bounds.get("to")
    return (frame[by].is_between(low, high if high is not None else 2**62)).fill_null(value=False)


def chosen_steps(audit: Audit, steps: pl.DataFrame, witness: Mapping[str, Any]) -> pl.DataFrame:
    """The sampled steps of a slice that SD206 found."""
    return steps.filter(_inside(places(audit, steps), witness["where"], witness))


def in_slice(audit: Audit, outcome: Outcome, choices: Mapping[str, Choice]) -> Explanation | None:
    """The rule that acceptance follows in the slice that SD206 found: lenience with its threshold, or forced acceptance."""
    seen = outcome.witnesses[0]
    run_id, effect, n = seen["run_id"], float(seen["effect"]), int(seen["n"])
    law = choices[run_id].law
    where, only = seen["where"], f"only where {seen['slice']}"
    found = Explanation(
        "lenient-acceptance", f"lenient acceptance {only}", None, None, None, 0, n, "", where, seen["share"]
    )
    if effect < 0:
        return replace(found, cause="decision-mismatch", label=f"tokens are rejected that the law accepts, {only}")
    sample = sampled(audit, run_id, law)
    block = LAWS[law].decides == "block"
    if sample is None or block:
        return replace(found, label=f"block verification keeps too much, {only}") if block else found
    rows = _placed(audit, sample)
    rows = rows.filter(_inside(rows, where, seen))
    lenience, lenient, share, forced = _both(rows, sample.law)
    if forced > lenient + 2.0:
        label = f"a share of decisions (about {share:.0%}) accepts whatever p and q say, {only}"
        return replace(found, cause="decision-mismatch", label=label, parameter=share)
    return replace(found, label=f"lenient acceptance, threshold about {lenience:.2f}, {only}", parameter=lenience)


def mixture(audit: Audit, outcome: Outcome | None, choices: Mapping[str, Choice]) -> tuple[float, float] | None:
    """The likeliest threshold l of r <= p / (l q), and the likeliest share of decisions that accept whatever p and q say, over the
    sampled decisions of the run that SD201 (`outcome`) found; None where it found none, or a block decides."""
    if outcome is None or outcome.state != "fired" or not outcome.witnesses:
        return None
    run_id = outcome.witnesses[0]["run_id"]
    law = choices[run_id].law
    sample = sampled(audit, run_id, law)
    if sample is None or LAWS[law].decides != "token":
        return None
    lenience, _, share, _ = _both(sample.rows, law)
    return lenience, share


def _both(rows: pl.DataFrame, law: str) -> tuple[float, float, float, float]:
    """Threshold and its log-likelihood, share and its."""
    chance, accepted = rows["expected"].fill_null(np.nan).to_numpy(), rows["accepted"].to_numpy()
    lenient = _best(accepted, [(x, np.minimum(_ratio(rows, law) / x, 1.0)) for x in _LENIENCES])
    forced = _best(accepted, [(x, chance + (1 - chance) * x) for x in _SHARES])
    return lenient[0], lenient[1], forced[0], forced[1]


_LENIENCES = tuple(x / 100 for x in range(20, 100, 5))
_SHARES = tuple(x / 100 for x in (1, 2, 5, 10, 15, 20, 30, 40, 50, 70))


def _ratio(rows: pl.DataFrame, law: str) -> Floats:
    p, q = (rows[name].fill_null(np.nan).to_numpy() for name in ("p", "q"))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(p / q if LAWS[law].draft == "sampled" else p)


def _best(accepted: Flags, rules: Sequence[tuple[float, Floats]]) -> tuple[float, float]:
    """The parameter under which the decisions are likeliest, and their log-likelihood."""
    found = []
    for parameter, chance in rules:
        b = np.clip(chance, 1e-4, 1 - 1e-4)
        found.append((float(np.nansum(np.where(accepted, np.log(b), np.log1p(-b)))), parameter))
    score, parameter = max(found)
    return parameter, score


def _placed(audit: Audit, sample: Sample) -> pl.DataFrame:
    """The sampled decisions with what was known of their steps."""
    known = places(audit, sample.steps)
    return sample.rows.hstack(known.drop("step")[sample.rows["step"]]).with_columns(
        step=known["step"][sample.rows["step"]], row=sample.rows["step"]
    )


def confined(audit: Audit, sample: Sample, whole: Sequence[Explanation]) -> list[Explanation]:
    """The explanation in the smallest slice that holds the wrong decisions; [] where they stand everywhere."""
    rows = _placed(audit, sample)
    if (best := smallest(rows, (rows["decision"] == -1).to_numpy())) is None:
        return []
    share, by, value, inside = best
    # the fits read steps by their number, not by their place in the request
    part = rows.filter(inside).with_columns(step=pl.col("row"))
    named = explain_decisions(part, sample.law, sample.bands.p, sample.bands.q)[0]
    first = named if named.cause != "decision-mismatch" else whole[0]
    only = f"only where {words({by: value})} ({share:.0%} of the tested positions)"
    return [replace(first, label=f"{first.label}, {only}", where={by: value}, share=share)]


def recovered_by(audit: Audit, steps: pl.DataFrame | None) -> Explanation | None:
    """Where recovered tokens that the residual cannot give come from, in the smallest slice that holds them, or everywhere."""
    if steps is None or (part := recovered(steps)) is None:
        return None
    places_of = places(audit, part).with_columns(position=part["n_a"])
    low = recoveries(part, steps).select(
        ((pl.col("p_y") < pl.col("q_y") * _BELOW) | pl.col("same")).fill_null(value=False)
    )
    if (best := smallest(places_of, low.to_series().to_numpy())) is None:
        return emitted(recoveries(part, steps))
    share, by, value, inside = best
    found = emitted(recoveries(part.filter(inside), steps))
    only = f"only where {words({by: value})} ({share:.0%} of the recovered tokens)"
    return replace(found, label=only, where={by: value}, share=share)


#: A recovered token with p below so much of q is one that the residual cannot give, whatever was rounded.
_BELOW = 0.98


def smallest(rows: pl.DataFrame, wrong: Flags) -> tuple[float, str, str, pl.Series] | None:
    """(share of the rows, name, value, which rows) of the smallest slice that holds the wrong ones and not by luck."""
    if wrong.sum() < 5:
        return None
    best: tuple[float, str, str, pl.Series] | None = None
    for by, value, inside in _holding(rows, wrong):
        mine = inside.to_numpy()
        share, held = float(mine.mean()), int((wrong & mine).sum())
        if held < _HELD * wrong.sum() or share > _MOST or (held - 2) * np.log(share) > np.log(_LUCK):
            continue
        if best is None or share < best[0]:
            best = share, by, value, inside
    return best


def _holding(rows: pl.DataFrame, wrong: Flags) -> Iterator[tuple[str, str, pl.Series]]:
    """Slices that could hold the wrong decisions: of words the commonest among them, of numbers their range."""
    faulty = rows.filter(pl.Series(wrong))
    names = ("slot", "batch_size", "context_len", "step", "num_draft_tokens", "hour", "hour_of_day", "position")
    for by in rows.columns:
        here = faulty[by]
        if here.null_count() == len(here):
            continue
        if by in names:
            values = here.drop_nulls().cast(pl.Int64).to_numpy()
            low, high = int(values.min()), int(values.max())
            top = high == rows[by].max()
            value = between(by, low, None if top and low < high else high)
            if low == high or (by != "hour_of_day" and (by != "hour" or top)):
                yield by, value, rows[by].is_between(low, high).fill_null(value=False)
        elif by in ("rank", "graph", "prefix_hit") or by.startswith("tags."):
            value = here.mode().sort()[0]
            if value is not None:
                yield by, str(value), (rows[by] == value).fill_null(value=False)
