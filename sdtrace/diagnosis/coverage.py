"""What a verdict rests on: of speed, acceptance, correctness and metrics, which were judged."""

from collections.abc import Mapping, Sequence
from typing import Any

from sdtrace.diagnosis.by_series.judge import Judged
from sdtrace.diagnosis.by_series.pays import STEPS
from sdtrace.results.check import Outcome
from sdtrace.results.headline import Coverage, Covered
from sdtrace.speed.timing import Timing

#: Decisions that must agree before correctness counts as judged.
ENOUGH = 30
#: Checks of what counts must fulfil: identities of steps, of windows, and of sources beside each other.
_METRICS = (*range(131, 139), *range(401, 412))


def of_counts(outcomes: Mapping[str, Outcome], series: Sequence[Judged], texts: Covered = "not-judged") -> Coverage:
    """Where there are only counts, the engine with most of them stands for the input. `texts`: what tokens of responses show."""
    whole = max((j for j in series if j.tally.by == "all"), key=lambda j: j.tally.steps, default=None)
    counted = whole is not None and whole.tally.steps > 0 and not whole.chosen
    acceptance: Covered = "not-judged"
    if whole is not None and counted:
        acceptance = "judged" if whole.enough else "too-little"
    paid = whole is not None and whole.gain is not None and whole.state in ("healthy", "slow")
    speed: Covered = "judged" if paid else acceptance if acceptance != "judged" else "not-judged"
    return {"speed": speed, "acceptance": acceptance, "correctness": texts, "metrics": _metrics(outcomes)}


def of_steps(
    outcomes: Mapping[str, Outcome],
    figures: Mapping[str, Any],
    accepted: Mapping[str, Any] | None,
    spent: Timing | None,
    texts: Covered = "not-judged",
) -> Coverage:
    """Where decisions were recorded. Speed is judged where steps have durations. `texts`: what responses beside them show."""
    tested, agree = figures["tested"], figures["agree"] + figures["disagree"]
    correctness: Covered = "judged" if agree >= ENOUGH else "too-little" if tested else "not-judged"
    acceptance: Covered = "not-judged"
    if accepted is not None and accepted["accepted"] is not None and accepted["drafted"]:
        acceptance = "judged" if accepted["steps"] >= STEPS else "too-little"
    timed = spent is not None and spent.ledger is not None
    speed: Covered = "not-judged" if not timed else "judged" if acceptance == "judged" else "too-little"
    correctness = better(correctness, texts)
    return {"speed": speed, "acceptance": acceptance, "correctness": correctness, "metrics": _metrics(outcomes)}


def better(one: Covered, other: Covered) -> Covered:
    """Of two sources that look at the same thing, what the one with more evidence allows."""
    order: tuple[Covered, ...] = ("judged", "too-little", "not-judged")
    return min(one, other, key=order.index)


def nothing() -> Coverage:
    """Of an input in which nothing was read."""
    return {"speed": "not-judged", "acceptance": "not-judged", "correctness": "not-judged", "metrics": "not-judged"}


def _metrics(outcomes: Mapping[str, Outcome]) -> Covered:
    looked = any(f"SD{code}" in outcomes and outcomes[f"SD{code}"].examined for code in _METRICS)
    return "judged" if looked else "not-judged"
