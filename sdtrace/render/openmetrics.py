"""Counters in OpenMetrics text: what was read, as running totals over time where steps or windows have a time.

`promtool tsdb create-blocks-from openmetrics FILE DIR` makes blocks of Prometheus of them, so that a recorded trace can be looked
at beside the series of its engine. Without a clock there is one sample, and it has no timestamp.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics import exposition

from sdtrace.audit.audit import Audit
from sdtrace.counters.sources import increments
from sdtrace.diagnosis.diagnose import Diagnosis
from sdtrace.results.clock import WALL
from sdtrace.results.words import VERDICTS

#: Samples of a series: totals lose nothing where some in between are left out.
POINTS = 2_000
#: name of a counter, unit, what it counts, column of the totals
_COUNTERS = (
    ("steps", "", "Request-steps: verifications of one request.", "steps"),
    ("drafted", "tokens", "Drafted tokens.", "drafted"),
    ("accepted", "tokens", "Accepted tokens, without recovered and bonus ones.", "accepted"),
    ("emitted", "tokens", "Tokens appended to answers.", "emitted"),
)


@dataclass(frozen=True)
class _Totals:
    """Running totals (null where not told), in order of time; `at` is null where the input has no clock."""

    table: pl.DataFrame
    accepted_by_position: Sequence[float]


class _Made:
    """What a registry asks for its metrics."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self.families = families

    def collect(self) -> Sequence[Metric]:
        """All of them."""
        return self.families


def dumps(audit: Audit, diagnosis: Diagnosis) -> bytes:
    """The exposition; metrics begin with sdtrace_. What was not recorded has no sample."""
    totals = _of_steps(audit, diagnosis) if not audit.tally.frame("laws").is_empty() else _of_counts(audit, diagnosis)
    engine = " and ".join(sorted({i.engine for i in audit.inputs if i.engine}))
    families: list[Metric] = []
    for name, unit, says, column in _COUNTERS:
        if totals is None or totals.table[column].null_count() == totals.table.height:
            continue
        family = CounterMetricFamily(_name(name, unit), says, labels=["engine"], unit=unit)
        for at, value in totals.table.select("at", column).drop_nulls(column).iter_rows():
            family.add_metric([engine], float(value), timestamp=at)
        families.append(family)
    if totals is not None and len(totals.accepted_by_position):
        last = totals.table["at"][-1]
        family = CounterMetricFamily(
            "sdtrace_position_accepted_tokens",
            "Accepted tokens by their position in the draft, from 0.",
            labels=["engine", "position"],
            unit="tokens",
        )
        for position, value in enumerate(totals.accepted_by_position):
            family.add_metric([engine, str(position)], float(value), timestamp=last)
        families.append(family)
    verdict = GaugeMetricFamily(
        "sdtrace_verdict", "1 for the verdict of the report, 0 for the others.", labels=["state"]
    )
    at = None if totals is None else totals.table["at"][-1]
    for state in reversed(VERDICTS):
        verdict.add_metric([state], float(state == diagnosis.state), timestamp=at)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Made([*families, verdict]))
    text: Callable[[CollectorRegistry], bytes] = exposition.generate_latest
    return text(registry)


def _name(name: str, unit: str) -> str:
    return f"sdtrace_{name}_{unit}" if unit else f"sdtrace_{name}"


def _of_steps(audit: Audit, diagnosis: Diagnosis) -> _Totals | None:
    """From the timeline of a trace; one row of all sums where steps have no time."""
    laws = diagnosis.chosen.frame("laws")
    positions = diagnosis.chosen.frame("positions").group_by("position").agg(pl.col("accepted").sum()).sort("position")
    untold = [] if laws["counted"].sum() else ["accepted"]
    untold += ["emitted"] if (laws["steps"] - laws["idle"] - laws["known_appended"]).sum() else []
    columns = {"steps": "steps", "drafted": "drafted", "accepted": "accepted", "emitted": "appended"}
    named = [*(choice.law for choice in diagnosis.choices.values()), "greedy", "unknown"]
    line, width = audit.tally.frame("timeline").filter(pl.col("law").is_in(named)), audit.tally.width
    at: pl.Expr = pl.lit(None, pl.Float64)
    begun = laws["first_at"].min()
    if laws["first_at"].null_count() == 0 and isinstance(begun, float) and begun >= WALL and width and line.height:
        sums = line.group_by("bucket").agg(pl.exclude("law").sum()).sort("bucket")
        at = (pl.col("bucket") + 1) * width
        table = sums.select(at=at, **{n: pl.col(c).cast(pl.Float64).cum_sum() for n, c in columns.items()})
    else:
        table = laws.select(at=at, **{n: pl.col(c).cast(pl.Float64).sum() for n, c in columns.items()}).head(1)
    table = table.with_columns(pl.lit(None, pl.Float64).alias(name) for name in untold)
    return _Totals(_thinned(table), [] if "accepted" in untold else positions["accepted"].to_list())


def _of_counts(audit: Audit, diagnosis: Diagnosis) -> _Totals | None:
    """From windows of the source that figures are taken from. A total that follows from other windows than those that count it
    one by one stands once, at the end."""
    source = diagnosis.figures_from
    if source is None:
        return None
    named = ("engine", "surface", "basis")
    mine = audit.windows.filter(pl.all_horizontal(pl.col(name) == getattr(source, name) for name in named))
    added = increments(mine) if source.basis in ("lifetime", "counter") else mine
    steps = "steps" if source.counts["drafts"] is None else "drafts"
    columns = {"steps": steps, "drafted": "drafted", "accepted": "accepted", "emitted": "emitted"}
    if added["at"].null_count() == 0 and (source.first_at or 0.0) >= WALL:
        sums = added.group_by("at").agg(pl.col(list(columns.values())).sum()).sort("at")
        table = sums.select("at", **{n: pl.col(c).cum_sum() for n, c in columns.items()})
    else:
        at = pl.lit(None, pl.Float64)
        table = added.select(at=at, **{n: pl.col(c).sum() for n, c in columns.items()}).head(1)
    for name, column in columns.items():
        total = source.counts[column]
        if total is None or abs(float(table[name].to_numpy()[-1]) - total) > 0.5:
            end = pl.int_range(pl.len()) == pl.len() - 1
            table = table.with_columns(pl.when(end).then(pl.lit(total, pl.Float64)).alias(name))
    return _Totals(_thinned(table), source.accepted_by_position)


def _thinned(table: pl.DataFrame) -> pl.DataFrame:
    if table.height <= POINTS:
        return table
    kept = np.unique(np.linspace(0, table.height - 1, POINTS).astype(np.int64))
    return table[kept]
