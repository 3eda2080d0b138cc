"""The answer of a comparison: regressed, improved, fine within the margin, or inconclusive; and the causes of a change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import expm1
from typing import Any, Literal

import polars as pl

from sdtrace.comparison.arms import Pair
from sdtrace.comparison.attribution import Attribution, Term
from sdtrace.comparison.metrics import Metric
from sdtrace.comparison.slices import Slice
from sdtrace.results.cause import Cause
from sdtrace.results.cause_words import WORDS
from sdtrace.results.numbers import per_step
from sdtrace.speed.finding import low_rate, total, worst
from sdtrace.speed.slow_acceptance import MISWIRED

#: What is asked first: the figure that has durations, else the one that needs none.
FIRST = ("tokens_per_second", "tokens_per_step")
#: term -> the cause that it is evidence of.
CAUSES = {
    "traffic-mix": "traffic-shift",
    "acceptance": "low-acceptance",
    "draft": "draft-too-slow",
    "verify": "verification-not-free",
    "verify-curve": "verification-not-free",
    "verify-batch": "verification-not-free",
    "rest": "verification-not-free",
    "overhead": "host-overhead",
}
_SAYS = {
    "traffic-mix": "other traffic than before",
    "draft-length": "other draft lengths",
    "acceptance": "acceptance within slices",
    "draft": "time of drafting",
    "verify": "time of verifying",
    "verify-curve": "a verifying pass of the same size",
    "verify-batch": "more or fewer verified tokens a pass",
    "rest": "time of everything but drafting",
    "overhead": "time of the host",
}


AnswerWord = Literal["regressed", "improved", "fine", "inconclusive"]


@dataclass(frozen=True)
class Answer:
    """`needed`: requests a side that would settle it."""

    word: AnswerWord
    metric: Metric | None
    says: str
    needed: int | None = None


def answer(metrics: Sequence[Metric], margin: float, requests: int | None) -> Answer:
    """By the interval of the change against the margin; an improvement is judged as a regression is.

    `requests`: how many a side; None where none are counted, so that nothing tells how many would do.
    """
    known = {one.name: one for one in metrics}
    asked = next((known[n] for n in FIRST if n in known and known[n].change is not None), None)
    if asked is None or asked.change is None:
        return Answer("inconclusive", asked, "the two sides have no figure in common that tells speed")
    change = asked.change
    name = asked.name.replace("_", " ")
    if change.low is None or change.high is None:
        return Answer("inconclusive", asked, f"{name} {change.value:+.1%}, from too few requests for an interval")
    told = f"{name} {change.value:+.1%} ({change.low:+.1%} to {change.high:+.1%})"
    if change.high < -margin:
        return Answer("regressed", asked, told)
    if change.low > margin:
        return Answer("improved", asked, told)
    if change.low > -margin and change.high < margin:
        return Answer("fine", asked, f"{told}, within {margin:.0%}")
    if requests is None:
        return Answer("inconclusive", asked, told)
    half = (change.high - change.low) / 2
    needed = max(round(requests * (half / margin) ** 2), requests + 1)
    return Answer(
        "inconclusive",
        asked,
        f"{told}; detecting a {margin:.0%} change needs about {needed:,} requests per side",
        needed,
    )


def causes_of(both: Pair, answer: Answer, split: Attribution, cut: Sequence[Slice], margin: float) -> list[Cause]:
    """Terms that pull a regression down, the largest first, and what the candidate does wrong that the base did not."""
    known = {cause.cause for cause in both.base.found.causes if cause.side == "wrong"}
    fresh = [c for c in both.candidate.found.causes if c.side == "wrong" and c.cause not in known]
    if answer.word != "regressed":
        return fresh
    down = [t for t in split.terms if t.change.high is not None and t.change.high < 0]
    most = min((t.change.value for t in down), default=0.0)
    named = [t for t in down if t.change.value <= max(0.25 * most, -1e9) and t.change.value < -margin / 3]
    found = [_cause(both, term, cut, split.strata) for term in sorted(named, key=lambda t: t.change.value)]
    unique: dict[str, Cause] = {}
    for cause in found:
        unique.setdefault(cause.cause, cause)
    return [*fresh, *unique.values()]


def _cause(both: Pair, term: Term, cut: Sequence[Slice], keys: Sequence[str]) -> Cause:
    name, blame = _named(both, term)
    side, usual, says, advice, *_ = WORDS[name]
    change = term.change
    told = f"{_SAYS[term.name]} changed throughput by {_percent(change.value)} ({_percent(change.low)} to {_percent(change.high)})"
    worse = [s for s in cut if s.confirmed and s.contribution.value < 0 and s.where]
    where: Mapping[str, str] = worse[0].where if worse and term.name == "acceptance" else {}
    if where:
        labels = " and ".join(f"{key}={value}" for key, value in where.items())
        told += f"; found in {labels}: {per_step(worse[0].base or 0)} to {per_step(worse[0].candidate or 0)} tokens per step"
    if term.name == "traffic-mix" and (grown := _grown(both, keys)):
        where, before, after = grown
        told += (
            f"; {' and '.join(f'{k}={v}' for k, v in where.items())} grew from {before:.0%} to {after:.0%} of the steps"
        )
    rows = both.candidate.joined
    evidence: list[dict[str, Any]] = worst(rows, low_rate(), where=dict(where) or None)
    cause = Cause(name, side, "statistical", (), f"{says}: {told}", tuple(evidence), advice, blame or usual)
    return replace(cause, weight=round(-change.value * 1000))


def _grown(both: Pair, keys: Sequence[str]) -> tuple[dict[str, str], float, float] | None:
    """The stratum whose share of the steps grew most: its levels, share before and after."""
    if not keys:
        return None
    shares = [
        arm.joined.group_by(keys, maintain_order=True).agg(share=pl.col("lines").sum() / total(arm.joined, "lines"))
        for arm in (both.base, both.candidate)
    ]
    table = shares[1].join(shares[0], on=keys, how="left", suffix="_before", nulls_equal=True).fill_null(0.0)
    row = table.sort(pl.col("share") - pl.col("share_before"), *keys, descending=True).row(0, named=True)
    return {key: str(row[key]) for key in keys}, float(row["share_before"]), float(row["share"])


def _named(both: Pair, term: Term) -> tuple[str, str | None]:
    """The cause of a term, and whom it blames where that is not the table's answer."""
    depth = _each(both, "drafted", "lines")
    deeper = depth[1] > 1.1 * depth[0]
    if term.name == "draft-length":
        drafting = _each(both, "drafting", "lines")
        if drafting[1] < 0.5 * drafting[0]:
            return "speculation-off", None
        return ("tau-too-large" if deeper else "tau-too-small"), None
    if term.name == "acceptance":
        first = _each(both, "a0", "v0")
        return ("drafter-miswired" if first[1] < MISWIRED < first[0] else "low-acceptance"), None
    if term.name == "draft" and deeper:
        each = [ms / k for ms, k in zip(_each(both, "wd", "w"), depth, strict=True)]
        if each[1] < 1.15 * each[0]:  # a token costs what it did: there are more of them
            return "tau-too-large", None
    if term.name in ("verify", "verify-batch", "rest") and deeper:
        return "tau-too-large", None
    return CAUSES[term.name], "traffic" if term.name == "verify-batch" else None


def _each(both: Pair, above: str, below: str) -> list[float]:
    """sum(above) / sum(below) of both sides; 0 where there is nothing below."""
    return [total(arm.joined, above) / max(total(arm.joined, below), 1e-9) for arm in (both.base, both.candidate)]


def _percent(logarithm: float | None) -> str:
    return "unknown" if logarithm is None else f"{expm1(logarithm):+.1%}"


def suspicions(both: Pair, metrics: Sequence[Metric]) -> list[str]:
    """What looks too good: acceptance that rose although the law's own expectation did not, or beyond what drafters do."""
    notes = []
    known = {one.name: one for one in metrics}
    rate = known.get("accepted_of_tested")
    up = rate is not None and rate.change is not None and rate.change.low is not None and rate.change.low > 0.05
    told = both.candidate.found.acceptance
    excess = told["ci"]["excess"] if told else None
    if up and excess and excess[0] > 0:
        notes.append("acceptance rose, and more is accepted than the law expects: an improvement that changes the text")
    elif up and rate is not None and rate.base is not None and rate.candidate is not None:
        notes.append(
            f"acceptance rose from {rate.base:.0%} to {rate.candidate:.0%}: look whether that is meant; "
            "a sampler that accepts too much looks the same (sdtrace report on the candidate, sdtrace replay)"
        )
    return notes
