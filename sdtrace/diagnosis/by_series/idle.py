"""Speculation that mostly stands idle: steps that ran without a draft, of all steps."""

from collections.abc import Sequence, Set
from dataclasses import dataclass

import polars as pl

from sdtrace.counters.agreement import over_all
from sdtrace.counters.series import Tally
from sdtrace.counters.sources import CounterSource
from sdtrace.results.words import Certainty
from sdtrace.schema.trace import Event

#: Share of steps without a draft that is told of a drafter that drafts at every step, and of one that may hold back.
MOST, NEARLY_ALL = 0.5, 0.7
#: Steps that tell it.
STEPS = 200
#: Lines of acceptance for each line of throughput, at least; usual distances between two lines, at most, that a throughput speaks of.
PAIRED, GAP = 0.5, 2.5


@dataclass(frozen=True)
class Idle:
    """Of `steps` so many, `share`, had no draft. Suspected where a threshold or a schedule may want it so."""

    steps: float
    share: float
    certainty: Certainty


def by_throughput(windows: pl.DataFrame, source: CounterSource) -> Idle | None:
    """What vLLM's throughput tells of steps without a draft: every step gives one token and those that it accepts.

    Only where its lines of throughput have lines of acceptance behind them: without those the log may be a selection.
    """
    c = source.counts
    if source.engine != "vllm" or source.basis != "interval" or c["drafts"] is None or c["accepted"] is None:
        return None
    rows = windows.filter((pl.col("engine") == "vllm") & (pl.col("generation_tps") >= 0) & pl.col("at").is_not_null())
    rows = rows.filter(~pl.col("series").fill_null("").str.contains("Aggregated", literal=True))
    told = windows.filter((pl.col("surface") == source.surface) & (pl.col("engine") == "vllm"))
    gaps = rows.select(
        tps=pl.col("generation_tps"), gap=(pl.col("at") - pl.col("at").shift(1)).over("path", "series")
    ).drop_nulls()
    busy = rows.filter(pl.col("generation_tps") > 0).height
    known = [float(n) for n in (*gaps["gap"], *told["span_s"].drop_nulls()) if n >= 1]
    if not known or told.height < PAIRED * busy:
        return None
    usual = min(
        known
    )  # a line speaks of the seconds since the last one; an idle server, or who copied the log, left lines out
    near = gaps.filter(pl.col("gap").is_between(0, GAP * usual))
    every = float((near["tps"] * near["gap"]).sum()) - c["accepted"]
    share = 1 - c["drafts"] / every if every >= STEPS else 0.0
    return Idle(every, share, "suspected") if share >= MOST else None


def idle(t: Tally, sources: Sequence[CounterSource], methods: Set[str], events: Sequence[Event]) -> Idle | None:
    """None where most steps draft, where the drafter may look text up (no method is told), or where nothing tells of idle steps."""
    if not methods:
        return None
    mine = [
        s for s in sources if s.engine == t.engine and (whole := over_all(s, s.requests or None)) and whole[0] >= STEPS
    ]
    for source in mine:
        steps = (over_all(source, source.requests or None) or (0.0, 0.0))[0]
        share = 1 - (source.counts["drafts"] or 0.0) / steps
        free = t.engine == "llama.cpp" or any(e.kind in ("schedule", "k") for e in events)
        if share >= (NEARLY_ALL if free else MOST):
            return Idle(steps, share, "suspected" if free else "statistical")
    return None
