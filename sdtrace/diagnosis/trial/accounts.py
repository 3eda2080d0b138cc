"""Sums over the steps of a request, where steps are missing or several stand under one key: they prove nothing against an engine."""

from collections.abc import Sequence
from dataclasses import replace

from sdtrace.results.cause import Cause
from sdtrace.results.cause_words import WORDS
from sdtrace.results.record import Record

#: Checks that need to know which steps follow each other in one answer.
CHAINED = frozenset({"SD121", "SD122", "SD131", "SD133", "SD135", "SD137", "SD138", "SD161"})


def missing_steps(cause: Cause) -> Cause:
    """Tokens that stand in the output and in no step are no fault of an engine: steps are missing from the record."""
    if cause.checks != ("SD133",) or not all(row["output_len"] > row["appended"] + 1 for row in cause.evidence):
        return cause
    says = WORDS["record-broken"]
    told = f"tokens of the output stand in no step, so steps are missing: {cause.found}"
    return replace(
        cause, cause="record-broken", side=says.side, says=told, advice=says.advice, command=None, blame=says.blame
    )


def without_chains(causes: Sequence[Cause], record: Record) -> tuple[list[Cause], Record]:
    """Causes that do not rest on the order of steps; those that do become one about the record where keys repeat,
    but for steps that are copies: what is left without them is one record.

    Two answers, a retry or two engines under one request id: their steps cannot be told apart.
    """
    causes = [missing_steps(cause) for cause in causes]
    if record.keys == "unique" or record.copies:
        return causes, record
    chained = [c for c in causes if c.checks and set(c.checks) <= CHAINED]
    if not chained:
        return causes, record
    rest = [c for c in causes if c not in chained]
    if record.keys == "conflicting":
        return rest, record  # comparing them has told already whose they are
    says = WORDS["record-broken"]
    told = "several steps stand under one (run, request, step), and do not fit each other: answers of one prompt, retries, or engines"
    mine = Cause("record-broken", says.side, "proved", (), told, chained[0].evidence, says.advice, says.blame, 1)
    return [*rest, mine], replace(record, keys="conflicting")
