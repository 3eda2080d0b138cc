"""A check as data, what it found, and where a reader can look it up."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from sdtrace.results.words import State


@dataclass(frozen=True)
class Counts:
    """What a pass added up for one check under one law: rows in its scope, rows it could judge, faulty rows.

    `missing` names the columns that held no value where the check would have looked. `sums` are rows of the evidence
    frame, or the one holder of all sums, for a check that weighs many tokens instead of counting faults, and `level` the chance of a
    false alarm that each of them has to itself.
    """

    total: int
    examined: int
    faults: int
    missing: tuple[str, ...]
    witnesses: tuple[dict[str, Any], ...] = ()
    sums: tuple[dict[str, Any], ...] = ()
    level: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """`state` is fired, clear, cannot-tell or crashed; `value` is the check's own figure, null where it has none.

    `visible` is the smallest effect that a statistical check would have seen with a chance of 0.9.
    """

    state: State
    examined: int
    total: int
    missing: tuple[str, ...]
    value: float | None
    headline: str
    faults: int = 0
    witnesses: tuple[dict[str, Any], ...] = ()
    visible: float | None = None


def counted(noun: str, clear: str | None = None) -> Callable[[Counts], Outcome]:
    """The usual reading of a provable check: one faulty row is enough; nothing examined is cannot-tell.

    `noun`: what faulty rows are and do; `clear`: what all rows do where none is faulty, for a noun that is negative.
    """

    def read(counts: Counts) -> Outcome:
        state: State
        if counts.faults:
            state, headline = "fired", f"{counts.faults:,} of {counts.examined:,} {noun}"
        elif counts.examined:
            state, headline = "clear", f"none of {counts.examined:,} {noun}" if clear is None else _all(counts, clear)
        else:
            state, headline = "cannot-tell", _why_not(counts)
        share = counts.faults / counts.examined if counts.examined else None
        return Outcome(
            state,
            counts.examined,
            counts.total,
            counts.missing,
            share,
            headline,
            counts.faults,
            counts.witnesses,
        )

    return read


def _all(counts: Counts, clear: str) -> str:
    return f"all {counts.examined:,} {clear}" if counts.examined > 1 else f"1 of 1 {clear}"


def _why_not(counts: Counts) -> str:
    if counts.missing:
        return "not recorded: " + ", ".join(counts.missing)
    return "nothing of the kind occurred" if counts.total else "nothing of its kind in this input, or under its law"


@dataclass(frozen=True)
class Check:
    """One check.

    `table` is positions, steps or requests: the frame whose rows `judged` (could be looked at) and `fault` are
    expressions over; or evidence, lanes, rows or responses: sums that `read` weighs by itself. `laws` names the laws it is valid for,
    None = any. `needs` are trace columns; a scope where one holds no value is not examined. `read` turns the sums into an
    outcome. `shows` are columns of the frame that a witness carries. `tests` counts the statistics that
    it reads, which share a report's level. `text` is the manual page (the module's docstring).
    """

    code: str
    name: str
    table: str
    needs: tuple[str, ...]
    judged: pl.Expr
    fault: pl.Expr
    read: Callable[[Counts], Outcome]
    laws: frozenset[str] | None = None
    shows: tuple[str, ...] = ()
    tests: int = 0
    text: str = field(default="", repr=False)
