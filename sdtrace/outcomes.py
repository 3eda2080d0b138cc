"""From the tally to the outcome of every check."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from sdtrace.audit import Audit
from sdtrace.finding import Check, Counts, Outcome
from sdtrace.folding import added, judge
from sdtrace.infer import Choice
from sdtrace.laws import LAWS
from sdtrace.reconcile import tables as counted_tables
from sdtrace.scope import parameters
from sdtrace.sources import Source
from sdtrace.summed import level, summed
from sdtrace.tally import WITNESSES
from sdtrace.uniforms import repeats


def outcomes(
    audit: Audit, choices: Mapping[str, Choice], checks: Sequence[Check], found: Sequence[Source] = ()
) -> dict[str, Outcome]:
    """Every check's outcome by code. A check of a law is read only for runs whose law is known well enough."""
    tables = {"requests": _requests(audit, choices), "uniforms": _uniforms(audit, choices), "runs": _runs(audit)}
    tables |= counted_tables(audit.windows, found, audit.events)
    share = level(audit.tally, checks, choices)
    return {check.code: _outcome(check, audit, choices, tables, share) for check in checks}


def used(choices: Mapping[str, Choice]) -> pl.Expr:
    """Rows of the law that was chosen for their run; temperature-0 requests are greedy under any run."""
    pairs = [(run, choice.law) for run, choice in choices.items()]
    chosen = pl.any_horizontal(
        pl.lit(value=False), *((pl.col("run_id") == run) & (pl.col("law") == law) for run, law in pairs)
    )
    inferred = [run for run, choice in choices.items() if choice.source == "inferred" and choice.law != "greedy"]
    # a greedy candidate of an undeclared run is no temperature-0 request
    greedy = (pl.col("law") == "greedy") & ~pl.col("run_id").is_in(inferred)
    return chosen | greedy


def _outcome(
    check: Check, audit: Audit, choices: Mapping[str, Choice], tables: Mapping[str, pl.DataFrame], share: float
) -> Outcome:
    try:
        if check.table in tables:
            folded = audit.judged.get(check.code)
            return check.read(added(folded, _summary(check, tables[check.table])))
        if check.table in ("evidence", "lanes", "rows"):
            return check.read(summed(check, audit.tally, choices, used(choices), share))
        return check.read(_passed(check, audit, choices))
    except Exception as error:
        return Outcome("crashed", 0, 0, (), None, f"{type(error).__name__}: {error}"[:200])


def _passed(check: Check, audit: Audit, choices: Mapping[str, Choice]) -> Counts:
    rows = audit.tally.frame("checks")
    if rows.is_empty():
        return Counts(0, 0, 0, ())
    rows = rows.filter((pl.col("code") == check.code) & used(choices))
    if check.laws is not None:
        uncertain = [run for run, choice in choices.items() if not choice.accuses]
        rows = rows.with_columns(
            pl.when(pl.col("run_id").is_in(uncertain)).then(0).otherwise(pl.col(name)).alias(name)
            for name in ("examined", "faults")
        )
    missing = [name for text in rows["missing"] for name in (text or "").split(",") if name]
    faults = int(rows["faults"].sum())
    kept = {(r["run_id"], r["law"]) for r in rows.filter(pl.col("faults") > 0).iter_rows(named=True)}
    witnesses = [
        w
        for (run, law, code), found in audit.tally.witnesses.items()
        if code == check.code and (run, law) in kept
        for w in found
    ]
    return Counts(
        int(rows["total"].sum()),
        int(rows["examined"].sum()),
        faults,
        tuple(dict.fromkeys(missing)),
        tuple(witnesses[:WITNESSES]),
    )


def _summary(check: Check, table: pl.DataFrame) -> Counts:
    """A check over rows that exist only after the pass: requests, uniforms, runs, windows."""
    if check.laws is not None and "law" in table.columns:
        table = table.filter(pl.col("law").is_in(list(check.laws)))
    return judge(check, table)


def _requests(audit: Audit, choices: Mapping[str, Choice]) -> pl.DataFrame:
    rows = audit.tally.frame("requests")
    if rows.is_empty():
        return rows
    rows = rows.filter(used(choices))
    known = audit.requests.with_columns(has_request=pl.lit(value=True))
    joined = rows.join(known, on=["run_id", "request_id"], how="left", maintain_order="left")
    return joined.with_columns(pl.col("loop_run", "loop_period", "loop_seen", "grams", "distinct").fill_null(0))


def _uniforms(audit: Audit, choices: Mapping[str, Choice]) -> pl.DataFrame:
    rows = repeats(audit.tally)
    return rows if rows.is_empty() else rows.filter(used(choices))


def _runs(audit: Audit) -> pl.DataFrame:
    rows = [
        {"run_id": run_id, "rule": run.get("rule"), "lossless": lossless(run)} for run_id, run in audit.runs.items()
    ]
    schema = {"run_id": pl.String(), "rule": pl.String(), "lossless": pl.Boolean()}
    return pl.DataFrame(rows, schema=schema)


def lossless(run: Mapping[str, Any]) -> bool | None:
    """Whether the rule that a run declares keeps the target's distribution; None where it declares no known rule."""
    law = LAWS.get(str(run.get("rule")))
    if law is None:
        return None
    params = parameters(run)
    loose = any(
        isinstance(params.get(name), int | float) and params[name] < 1.0
        for name in ("threshold_acc", "threshold_single", "lenience")
    )
    return law.lossless and not loose
