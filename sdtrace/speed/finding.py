"""Causes of side `slow`, strongest first: what each finder saw, put into the words of the table."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from sdtrace.results.cause import Cause, command
from sdtrace.results.cause_words import WORDS
from sdtrace.results.draft_length import OtherLength
from sdtrace.results.words import CERTAINTIES, Certainty
from sdtrace.speed.timing import Timing

#: Lines that drafted something before anything is said about acceptance.
ENOUGH = 50
#: Requests below which what rests on acceptance is a suspicion: they differ too much from each other.
REQUESTS = 20
#: Acceptance that a slice, or an end of an axis, must lack against the rest.
LACKS = 0.12
#: Standard errors that a finding needs which was picked among many.
PICKED = 4.0
#: Drafters that look tokens up: drafting nothing, or little that is accepted, is their nature.
_LOOKUPS = ("ngram", "suffix", "lookup")


def looks_up(method: str | None) -> bool:
    """Whether a drafter, as its engine names it (`ngram-simple`, `NGRAM`), looks tokens up; an unknown one is taken not to."""
    return method is not None and any(word in method.lower() for word in _LOOKUPS)


_BY_ACCEPTANCE = (
    *("drafter-miswired", "low-acceptance", "long-context-decay", "traffic-shift"),
    *("tau-too-large", "tau-too-small"),
)


@dataclass(frozen=True)
class Finding:
    """One slow cause: `gain` is the relative throughput to be had, `says` replaces the table's sentence, `length` is the draft length
    that would have it, where one would."""

    cause: str
    certainty: Certainty
    says: str
    gain: float
    evidence: Sequence[dict[str, Any]] = field(default_factory=tuple)
    advice: str | None = None
    blame: str | None = None
    length: OtherLength | None = None


def worst(places: pl.DataFrame, order: pl.Expr, *, where: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """Up to three places as evidence, least `order` first, with the command that shows each."""
    rows = places.sort(order, "request_id", nulls_last=True, maintain_order=True).head(3)
    found = []
    for row in rows.iter_rows(named=True):
        shown: dict[str, Any] = {
            "path": row["first_path"],
            "line": row["first_line"],
            "run_id": row["run_id"],
            "request_id": row["request_id"],
            "step": row["first_step"],
            "tested": int(row["tested"]),
            "accepted": int(row["accepted"]),
        }
        shown["command"] = command(shown)
        found.append(shown | ({"where": where} if where else {}))
    return found


def shape(row: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The first line of a shape of step (see `cost.shapes`) as evidence."""
    return {"path": row["first_path"], "line": row["first_line"], **more}


def total(frame: pl.DataFrame, name: str) -> float:
    """The sum of a column."""
    return float(frame[name].sum())


def low_rate() -> pl.Expr:
    """Order of places by acceptance, those with evidence first."""
    return pl.when(pl.col("tested") >= 4).then(pl.col("accepted") / pl.col("tested"))


def in_words(findings: Sequence[Finding]) -> list[Cause]:
    """Findings as causes: certainty first, then what there is to gain."""
    ranked = sorted(findings, key=lambda one: (CERTAINTIES.index(one.certainty), -one.gain))
    return [_cause(one) for one in ranked]


def _cause(one: Finding) -> Cause:
    side, blame, says, advice, *_ = WORDS[one.cause]
    effect = f"without it throughput would be up to {one.gain:.0%} higher" if 0.005 <= one.gain < 50 else None
    return Cause(
        one.cause,
        side,
        one.certainty,
        (),
        f"{says}: {one.says}",
        tuple(one.evidence),
        one.advice or advice,
        one.blame or blame,
        round(min(one.gain, 1e6) * 1000),
        effect,
        length=one.length,
    )


def few(findings: list[Finding], timing: Timing) -> list[Finding]:
    """Findings as suspicions: all of them where they rest on few steps, those about acceptance where on few requests."""
    if timing.places["lines"].sum() < ENOUGH:
        return [replace(one, certainty="suspected") for one in findings]
    if timing.places["hash"].n_unique() >= REQUESTS:
        return findings
    return [replace(one, certainty="suspected") if one.cause in _BY_ACCEPTANCE else one for one in findings]


def without(findings: list[Finding]) -> list[Finding]:
    """Findings that another one explains are left out: a drafter that is wired wrongly is not also badly tuned."""
    names = {one.cause for one in findings}
    explained: set[str] = set()
    if "drafter-miswired" in names:
        explained |= {"low-acceptance", "tau-too-large", "draft-too-slow", "long-context-decay", "traffic-shift"}
    if "long-context-decay" in names or "traffic-shift" in names:
        explained |= {"low-acceptance"}
    if any(one.cause == "speculation-off" and one.certainty == "proved" for one in findings):
        explained |= names - {"speculation-off", "kv-pressure", "prefill-heavy", "stragglers"}
    return [one for one in findings if one.cause not in explained]
