"""The acceptance figures where there are only counts: the same keys as for steps, null where counts cannot say."""

from typing import Any

import polars as pl

from sdtrace.counters.definitions import Totals, definitions
from sdtrace.counters.sources import CounterSource
from sdtrace.stats.ratio import clustered


def counted(source: CounterSource, windows: pl.DataFrame) -> dict[str, Any]:
    """The `acceptance` section from one source of windows.

    tokens_per_step is of steps that drafted (1 + accepted / drafts); rates by position are marginal (Leviathan et al.
    2023 call them the survival of a position) over all steps that drafted, and conditional ones only where every draft
    was long enough to reach the position.
    """
    counts = source.counts
    mine = windows.filter(
        (pl.col("engine") == source.engine) & (pl.col("surface") == source.surface) & (pl.col("basis") == "request")
    ).with_columns(appended=pl.col("accepted") + pl.col("drafts"))
    drafts = source.position_drafts
    marginal = [n / drafts for n in source.accepted_by_position] if drafts else source.shares
    return {
        "steps": whole(counts["steps"] if counts["drafts"] is None else counts["drafts"]),
        "drafted": whole(counts["drafted"]),
        "tested": None,
        "accepted": whole(counts["accepted"]),
        "tokens_per_step": source.length,
        "per": "step" if plain(source) else "drafting step",
        "rate_of_drafted": source.rate,
        "rate_of_tested": None,
        "marginal_by_position": marginal,
        "conditional_by_position": _conditional(source, marginal),
        "expected_rate": None,
        "excess": None,
        "ci": {
            "level": 0.95,
            "tokens_per_step": clustered(mine.drop_nulls(["appended", "drafts"]), "appended", "drafts"),
            "rate_of_drafted": clustered(mine.drop_nulls(["accepted", "drafted"]), "accepted", "drafted", rate=True),
            "rate_of_tested": None,
            "excess": None,
        },
        "expected_tokens_per_step": None,
        "tokens_per_step_between": _range(windows, source),
        "steps_between": None if source.bounds is None else [round(n) for n in source.bounds],
        "definitions": {d.key: d.value for d in definitions(totals(source))},
    }


def _range(windows: pl.DataFrame, source: CounterSource) -> list[float] | None:
    """Least and greatest tokens per step of single records of the source; None where none tells it."""
    if source.basis in ("lifetime", "counter"):
        return None
    mine = windows.filter((pl.col("engine") == source.engine) & (pl.col("surface") == source.surface))
    ends = [mine["length"].min(), mine["length"].max()]
    return [float(end) for end in ends if isinstance(end, int | float)] or None


def plain(source: CounterSource) -> bool:
    """Whether steps and tokens are counted and nothing says that anything was drafted: plain decoding, a baseline."""
    c = source.counts
    return c["drafts"] is None and c["accepted"] is None and bool(c["steps"]) and bool(c["emitted"])


def totals(source: CounterSource) -> Totals:
    """The counts of a source, for the table of definitions."""
    c = source.counts
    emitted = c["emitted"]
    if emitted is None and c["accepted"] is not None and c["drafts"] is not None:
        emitted = c["accepted"] + c["drafts"]
    requests = float(source.requests) if source.requests else None
    return Totals(c["drafts"], c["drafted"], c["accepted"], emitted, source.k, c["steps"], source.lengths, requests)


def whole(value: float | None) -> int | None:
    """A count as an integer."""
    return None if value is None else round(value)


def _conditional(source: CounterSource, marginal: list[float]) -> list[float | None]:
    """Accepted of tested by position; null where shorter drafts are counted among those that did not accept."""
    if not marginal:
        return []
    drafted, c = source.drafted_by_position, source.counts
    full = c["drafted"] is not None and c["drafts"] and abs(c["drafted"] - len(marginal) * c["drafts"]) < 0.5
    made: list[float | None] = []
    for j, rate in enumerate(marginal):
        before = marginal[j - 1] if j else 1.0
        if not before:
            made.append(None)
        elif full or j == 0:
            made.append(rate / before)
        elif len(drafted) > j and drafted[j] and source.position_drafts:
            reached = before * source.position_drafts - max(drafted[j - 1] - drafted[j], 0.0)
            made.append(None if reached <= 0 or drafted[j - 1] != drafted[j] else rate / before)
        else:
            made.append(None)
    return made
