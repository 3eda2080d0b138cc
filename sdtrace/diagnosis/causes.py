"""From fired checks to named causes: what is wrong, whom it points at, what to do next.

A cause that one check alone proves is a row of `WORDS` and nothing here. The order of rows is the order of strength among
equals: a proof beats a statistic, a statistic beats a suspicion, and a fault that explains another one's symptoms stands
before it and takes its checks.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from sdtrace.diagnosis.by_series.causes import acceptance_causes
from sdtrace.diagnosis.by_series.judge import Judged
from sdtrace.diagnosis.wrong_rules import Explanation
from sdtrace.results.cause import Cause, Outcomes, fired, make, ranked
from sdtrace.results.cause_words import WORDS
from sdtrace.results.check import Outcome
from sdtrace.results.words import Certainty


def _one(code: str, cause: str, certainty: Certainty = "proved") -> Callable[[Outcomes], list[Cause]]:
    """The usual row: one check fired, one cause."""

    def read(outcomes: Outcomes) -> list[Cause]:
        return [make(cause, certainty, [code], outcomes)] if fired(outcomes, code) else []

    return read


def _invalid(outcomes: Outcomes) -> list[Cause]:
    """Values that are no probabilities, under the name of the model that they are of, where the witnesses agree on it."""
    if not fired(outcomes, "SD106"):
        return []
    outcome = outcomes["SD106"]
    of_p, of_q = (any(w.get(name) for w in outcome.witnesses) for name in ("bad_p", "bad_q"))
    who = "the models" if of_p == of_q else "the target model" if of_p else "the draft model"
    made = make("invalid-probabilities", "proved", ["SD106"], outcomes)
    says = f"{who} produced invalid probabilities (NaN, infinite or outside [0, 1])"
    share = f"{outcome.faults:,} of {outcome.examined:,} steps ({outcome.faults / outcome.examined:.0%})"
    return [replace(made, says=f"{says} in {share}", blame="drafter" if of_q and not of_p else made.blame)]


def _decisions(explained: Sequence[Explanation], outcomes: Outcomes) -> list[Cause]:
    """Wrong decisions, under the name of the wrong rule that explains them best."""
    codes = ["SD101", "SD102", "SD104"]
    if not any(fired(outcomes, code) for code in codes):
        return []
    if not explained:
        return [make("decision-mismatch", "proved", codes, outcomes)]
    best = explained[0]
    named = best.cause != "decision-mismatch" or best.where is not None
    row = make(best.cause, "proved", codes, outcomes, _label(best) if named else None)
    if best.where is not None:
        row = replace(row, evidence=(*row.evidence, {"where": dict(best.where), "share": best.share}))
    return [replace(row, advice=best.advice) if best.advice else row]


def _label(best: Explanation) -> str:
    words = WORDS[best.cause]
    label = f"{words.head}: {best.label}"
    return words.says if best.label == words.says else label


def _recovery(emitted: Explanation | None, outcomes: Outcomes) -> list[Cause]:
    codes = ["SD111", "SD112"]
    if not any(fired(outcomes, code) for code in codes):
        return []
    if (
        not fired(outcomes, "SD111")
        and fired(outcomes, "SD101")
        and 5 * outcomes["SD112"].faults <= outcomes["SD101"].faults
    ):
        return []  # a rejection that should not have been leaves hardly anything but the rejected token to draw
    cause = emitted.cause if emitted is not None else "recovered-not-residual"
    if emitted is None or emitted.where is None:
        return [make(cause, "proved", codes, outcomes)]
    row = make(cause, "proved", codes, outcomes, f"{WORDS[cause].says}, {emitted.label}")
    return [replace(row, evidence=(*row.evidence, {"where": dict(emitted.where), "share": emitted.share}))]


def _loops(outcomes: Outcomes) -> list[Cause]:
    """One looping request may have been asked to repeat itself; a share of them was not."""
    live = [code for code in ("SD181", "SD182") if fired(outcomes, code)]
    if not live:
        return []
    many = any(outcomes[c].faults >= max(2, 0.05 * outcomes[c].examined) for c in live)
    live += ["SD183"] if fired(outcomes, "SD183") else []
    return [make("degenerate-output", "statistical" if many else "suspected", live, outcomes)]


def _accounting(outcomes: Outcomes) -> list[Cause]:
    """Totals that are off because of a fault that has a name of its own are no second cause."""
    label = None
    codes = ["SD131", "SD132"] if fired(outcomes, "SD103") is False else []
    if not any(fired(outcomes, c) for c in ("SD121", "SD122", "SD161", "SD103")):
        codes.append("SD133")
    live = [c for c in codes if fired(outcomes, c)]
    if fired(outcomes, "SD137"):
        label = None if live else "output goes beyond max_tokens"
        live.append("SD137")
    return [make("token-accounting", "proved", live, outcomes, label)] if live else []


def causes(
    outcomes: Outcomes,
    explained: Sequence[Explanation],
    emitted: Explanation | None,
    configured: Sequence[Cause] = (),
    series: Sequence[Judged] = (),
) -> list[Cause]:
    """Every cause that the outcomes support, strongest first."""
    rows: list[Cause] = list(configured)
    for row in (_invalid, _one("SD107", "invalid-probabilities")):
        rows += [c for c in row(outcomes) if c.cause not in {r.cause for r in rows}]
    rows += [make("degenerate-target", "proved", ["SD151", "SD152"], outcomes)] if _degenerate(outcomes) else []
    rows += _one("SD103", "accepted-past-rejection")(outcomes)
    rows += _one("SD153", "sampling-params-ignored")(outcomes)
    rows += _decisions(explained, outcomes)
    rows += [make("greedy-mismatch", "proved", ["SD141", "SD142"], outcomes)] if _greedy(outcomes) else []
    rows += _recovery(emitted, outcomes)
    for cause, words in WORDS.items():
        if words.check is not None and cause != "emitted-after-stop":
            rows += _one(words.check, cause)(outcomes)
    rows += _after_stop(outcomes) + _accounting(outcomes) + _loops(outcomes)
    rows += _counts(outcomes)
    rows += counters(outcomes, {row.cause for row in rows}, series)
    return ranked(rows)


#: check -> cause -> certainty, of counts, records and announcements.
_OF_COUNTS: tuple[tuple[str, str, Certainty], ...] = (
    ("SD421", "synthetic-acceptance", "proved"),
    ("SD422", "lenient-acceptance", "proved"),
    ("SD423", "speculation-off", "proved"),
    ("SD412", "metric-definition", "proved"),
    ("SD424", "counters-missing", "proved"),
    ("SD431", "degenerate-output", "suspected"),
)


def counters(outcomes: Outcomes, named: set[str], series: Sequence[Judged] = ()) -> list[Cause]:
    """Causes that counts, records and announcements show; a cause that decisions showed is not named again."""
    rows = [row for row in acceptance_causes(outcomes, series) if row.cause not in named]
    for code, cause, certainty in _OF_COUNTS:
        if cause not in named and fired(outcomes, code):
            label = _announced(outcomes[code]) if code in ("SD421", "SD422", "SD423", "SD412") else None
            rows.append(make(cause, certainty, [code], outcomes, label))
    broken = [
        c
        for c in ("SD411", "SD401", "SD402", "SD403", "SD404", "SD405", "SD407", "SD408", "SD409")
        if fired(outcomes, c)
    ]
    if broken:
        label = _replayed(outcomes) or "counts contradict each other"
        rows.append(make("metric-inconsistent", "proved", broken, outcomes, label))
    elif fired(outcomes, "SD406"):
        rows.append(make("metric-inconsistent", "suspected", ["SD406"], outcomes, "nan stands where a figure belongs"))
    blamed = {"synthetic-acceptance": "config", "lenient-acceptance": "config"}
    return [replace(row, blame=blamed.get(row.cause, row.blame)) for row in rows]


def _announced(outcome: Outcome) -> str | None:
    return next((str(w[n]) for w in outcome.witnesses for n in ("what", "conversion") if w.get(n)), None)


def _replayed(outcomes: Outcomes) -> str | None:
    """What is true where the counter of one surface contradicts another one nearer to the decisions."""
    if not fired(outcomes, "SD411"):
        return None
    w = outcomes["SD411"].witnesses[0]
    counts = f"{w['accepted_one']:,.0f} of {w['drafted']:,.0f} accepted by {w['one']}, {w['accepted_other']:,.0f} by {w['other']}"
    why = (
        "replayed drafts are counted as accepted: " if w.get("replayed") else "two counters of the same drafts differ: "
    )
    return f"{w['engine']}: {why}{counts}"


def _degenerate(outcomes: Outcomes) -> bool:
    return fired(outcomes, "SD151") or fired(outcomes, "SD152")


def _greedy(outcomes: Outcomes) -> bool:
    return fired(outcomes, "SD141") or fired(outcomes, "SD142")


#: Requests that end with a stop id, by which stop ids are seen to end requests.
_OBEYED = 3


def _after_stop(outcomes: Outcomes) -> list[Cause]:
    """Tokens behind a stop id: proved where stop ids at the end of a block are seen to end requests, which is how an engine that
    overlooks them inside a block differs from requests that ignore them on purpose (ignore_eos, min_tokens). Suspected where fewer than
    _OBEYED are, since an answer that ends by its length may end with one; nothing where half of them are gone on after."""
    ends = outcomes.get("SD162")
    gone_on, at_end = (0, 0) if ends is None else (ends.faults, ends.examined)
    if not fired(outcomes, "SD161") or (gone_on and 2 * gone_on >= at_end):
        return []
    return [make("emitted-after-stop", "proved" if at_end - gone_on >= _OBEYED else "suspected", ["SD161"], outcomes)]


def _counts(outcomes: Outcomes) -> list[Cause]:
    """Counts of steps that cannot all be right."""
    live = [code for code in ("SD134", "SD135", "SD138") if fired(outcomes, code)]
    label = "context_len does not advance by what is appended" if live == ["SD138"] else None
    return [make("metric-inconsistent", "proved", live, outcomes, label)] if live else []
