"""From the tally to the outcome of every check."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.counters.changes import Change
from sdtrace.counters.downsample import added, judge
from sdtrace.counters.reconcile import tables as counted_tables
from sdtrace.counters.sources import CounterSource
from sdtrace.diagnosis.by_series.judge import Judged, table
from sdtrace.diagnosis.chosen import Chosen
from sdtrace.diagnosis.eligible import LANES, Rows, level, rows, summed
from sdtrace.diagnosis.since import falls
from sdtrace.diagnosis.slices import slices
from sdtrace.diagnosis.watermarks import marked
from sdtrace.results.check import Check, Counts, Outcome
from sdtrace.schema.run import Run
from sdtrace.tally.tally import WITNESSES
from sdtrace.tally.uniforms import repeats
from sdtrace.verify.law import loose, parameters
from sdtrace.verify.laws import LAWS, named


def outcomes(
    audit: Audit,
    chosen: Chosen,
    checks: Sequence[Check],
    sources: Sequence[CounterSource] = (),
    series: Sequence[Judged] = (),
    turned: Sequence[Change] = (),
) -> dict[str, Outcome]:
    """Every check's outcome by code. A check of a law is read only for runs whose law is known well enough."""
    tables = {"requests": _requests(audit, chosen), "uniforms": _uniforms(chosen), "runs": _runs(audit)}
    tables |= counted_tables(audit.windows, sources, audit.events)
    tables["series"] = table(series)
    tables["falls"] = falls(audit.windows, turned, audit.events)
    tables["slices"] = slices(audit, chosen)
    judged = _Judged(audit, chosen, level(audit.tally, checks, chosen.choices))
    return {check.code: _outcome(check, judged, tables) for check in checks}


class _Judged:
    """What checks over sums and over counts of the pass read, made once for all of them."""

    def __init__(self, audit: Audit, chosen: Chosen, share: float) -> None:
        self.audit, self.chosen, self.choices, self.share = audit, chosen, chosen.choices, share
        keyed = marked(audit)  # their recovered tokens are drawn by a key
        self.free = chosen.rows & ~pl.col("run_id").is_in(sorted(keyed)) if keyed else chosen.rows

    @cached_property
    def sums(self) -> Rows:
        return rows(self.chosen)

    @cached_property
    def counts(self) -> dict[str, list[dict[str, Any]]]:
        """Rows of the frame `checks` by code."""
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self.chosen.frame("checks").to_dicts():
            found.setdefault(row["code"], []).append(row)
        return found


def _outcome(check: Check, judged: _Judged, tables: Mapping[str, pl.DataFrame]) -> Outcome:
    try:
        if check.table in tables:
            folded = judged.audit.judged.get(check.code)
            return check.read(added(folded, _summary(check, tables[check.table])))
        if check.table == "responses":
            return check.read(Counts(0, 0, 0, (), sums=({"texts": judged.audit.texts},)))
        if check.table in ("evidence", "rows", *LANES):
            known = judged.sums, judged.audit.tally, judged.choices, judged.free, judged.share
            return check.read(summed(check, *known))
        return check.read(_passed(check, judged))
    except Exception as error:
        return Outcome("crashed", 0, 0, (), None, f"{type(error).__name__}: {error}"[:200])


def _passed(check: Check, judged: _Judged) -> Counts:
    uncertain = {run for run, choice in judged.choices.items() if check.laws is not None and not choice.accuses}
    rows = judged.counts.get(check.code, [])
    sure = [row for row in rows if row["run_id"] not in uncertain]
    missing = [name for row in rows for name in (row["missing"] or "").split(",") if name]
    kept = {(row["run_id"], row["law"]) for row in sure if row["faults"] > 0}
    witnesses = [
        w
        for (run, law, code), found in judged.audit.tally.witnesses.items()
        if code == check.code and (run, law) in kept
        for w in found
    ]
    return Counts(
        sum(row["total"] for row in rows),
        sum(row["examined"] for row in sure),
        sum(row["faults"] for row in sure),
        tuple(dict.fromkeys(missing)),
        tuple(witnesses[:WITNESSES]),
    )


def _summary(check: Check, table: pl.DataFrame) -> Counts:
    """A check over rows that exist only after the pass: requests, uniforms, runs, windows."""
    if check.laws is not None and "law" in table.columns:
        table = table.filter(pl.col("law").is_in(list(check.laws)))
    return judge(check, table)


def faulty_requests(check: Check, audit: Audit, chosen: Chosen) -> pl.DataFrame:
    """The rows of requests in which a check over requests finds its fault."""
    table = _requests(audit, chosen)
    if table.is_empty():
        return table
    if check.laws is not None:
        table = table.filter(pl.col("law").is_in(list(check.laws)))
    return table.filter((check.judged & check.fault).fill_null(value=False))


def _requests(audit: Audit, chosen: Chosen) -> pl.DataFrame:
    if audit.tally.frame("requests").is_empty():
        return audit.tally.frame("requests")
    rows = chosen.requests
    known = audit.requests.with_columns(has_request=pl.lit(value=True))
    joined = rows.join(known, on=["run_id", "request_id"], how="left", maintain_order="left")
    if keyed := marked(audit):  # SGLang puts the keyed token in the place of the whole row
        own = pl.col("run_id").is_in(sorted(keyed))
        joined = joined.with_columns(one_hot=pl.when(~own).then("one_hot").otherwise(0))
    return joined.with_columns(pl.col("loop_run", "loop_period", "loop_seen", "grams", "distinct").fill_null(0))


def _uniforms(chosen: Chosen) -> pl.DataFrame:
    rows = repeats(chosen.tally)
    return rows if rows.is_empty() else rows.filter(chosen.rows)


def _runs(audit: Audit) -> pl.DataFrame:
    rows = [{"run_id": run_id, "rule": run.rule, "lossless": lossless(run)} for run_id, run in audit.runs.items()]
    schema = {"run_id": pl.String(), "rule": pl.String(), "lossless": pl.Boolean()}
    return pl.DataFrame(rows, schema=schema)


def lossless(run: Run) -> bool | None:
    """Whether the rule that a run declares keeps the target's distribution; None where it declares no known rule."""
    law = named(run.rule)
    if law is None or law is LAWS["unknown"]:
        return None
    return law.lossless and not loose(parameters(run))
