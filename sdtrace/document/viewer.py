"""Requests for the trace viewer: those with faults first, then a few typical ones, from the bounded sample of steps."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.diagnosis.diagnose import Diagnosis
from sdtrace.results.report import ViewedRequest
from sdtrace.schema.run import Run
from sdtrace.verify.explain import explain_steps

#: How many requests and how many steps of each are shown.
WORST, TYPICAL, STEPS = 3, 3, 40


def viewed(audit: Audit, diagnosis: Diagnosis, *, ids: bool = False) -> list[ViewedRequest]:
    """Requests of the evidence, in its order, so that it leads to their steps; then the worst (by wrong decisions, then by acceptance),
    and the ones nearest the median acceptance."""
    sample, requests = diagnosis.chosen.steps, diagnosis.chosen.frame("requests")
    if sample is None:
        return []
    requests = requests.join(sample.select("run_id", "request_id").unique(), on=["run_id", "request_id"], how="semi")
    if requests.is_empty():
        return []
    ranked = requests.with_columns(rate=(pl.col("accepted") / pl.col("drafted")).fill_nan(None)).sort(
        ["disagree", "rate", "request_id"], descending=[True, False, False], nulls_last=True
    )
    faulty = _faulty(diagnosis)
    order = pl.col("request_id").replace_strict(faulty, list(range(len(faulty))), default=len(faulty))
    worst = ranked.filter((pl.col("disagree") > 0) | pl.col("request_id").is_in(faulty))
    worst = worst.sort(order, maintain_order=True).head(WORST)
    rest = ranked.join(worst, on=["run_id", "request_id"], how="anti")
    median = rest["rate"].median()
    near = rest.sort(
        [(pl.col("rate") - (median if isinstance(median, float) else 0.0)).abs(), pl.col("request_id")], nulls_last=True
    )
    chosen = [(row, "a request with findings") for row in worst.iter_rows(named=True)]
    if not chosen and rest.height > TYPICAL:
        lowest = rest.filter(pl.col("rate").is_not_null()).head(1)
        chosen = [(row, "the lowest acceptance of the sample") for row in lowest.iter_rows(named=True)]
    taken = {(row["run_id"], row["request_id"]) for row, _ in chosen}
    many = 1 if chosen else TYPICAL  # beside findings one typical request is enough to compare with
    typical = [
        row for row in near.head(TYPICAL + 1).iter_rows(named=True) if (row["run_id"], row["request_id"]) not in taken
    ]
    chosen += [(row, "a typical request") for row in typical[:many]]
    notes = _notes(diagnosis)
    return [_one(audit, sample, row, why, notes, ids) for row, why in chosen]


#: Steps of a request that part from the law, and steps of one in which none does, on the page.
TELLING, QUIET = 7, 12
#: Requests that `explain` lists.
LISTED = 15


def worst_requests(diagnosis: Diagnosis) -> list[dict[str, Any]]:
    """The requests to look at first, with the findings that point at them and the step to begin with."""
    found: dict[str, dict[str, int | None]] = {}
    for cause in diagnosis.causes:
        for row in cause.evidence:
            if row.get("request_id") is not None:
                found.setdefault(str(row["request_id"]), {}).setdefault(cause.cause, row.get("step"))
    requests = diagnosis.chosen.frame("requests")
    if requests.is_empty():
        return []
    table = requests.with_columns(
        rate=(pl.col("accepted") / pl.col("drafted")).fill_nan(None),
        rank=pl.col("request_id").replace_strict(list(found), list(range(len(found))), default=len(found)),
    )
    ranked = table.sort(
        ["rank", "disagree", "rate", "request_id"], descending=[False, True, False, False], nulls_last=True
    ).head(LISTED)
    names = ("run_id", "request_id", "steps", "rate")
    rows = []
    for row in ranked.iter_rows(named=True):
        mine = found.get(row["request_id"], {})
        first = next((step for step in mine.values() if step is not None), None)
        rows.append(
            {n: row[n] for n in names} | {"disagree": int(row["disagree"]), "causes": list(mine), "step": first}
        )
    return rows


def _faulty(diagnosis: Diagnosis) -> list[str]:
    """Requests that evidence points at, the first cause's first."""
    named = (str(w["request_id"]) for c in diagnosis.causes for w in c.evidence if w.get("request_id") is not None)
    return list(dict.fromkeys(named))


def _notes(diagnosis: Diagnosis) -> dict[tuple[str, int], str]:
    """(request, step) -> which cause points at it."""
    notes: dict[tuple[str, int], str] = {}
    for cause in diagnosis.causes:
        for row in cause.evidence:
            if row.get("step") is not None:
                notes.setdefault((str(row["request_id"]), int(row["step"])), cause.cause)
    return notes


def _one(
    audit: Audit,
    sample: pl.DataFrame,
    row: Mapping[str, Any],
    why: str,
    notes: Mapping[tuple[str, int], str],
    ids: bool,
) -> ViewedRequest:
    steps = sample.filter((pl.col("run_id") == row["run_id"]) & (pl.col("request_id") == row["request_id"])).sort(
        "step"
    )
    marked = [s for s in steps["step"].to_list() if (row["request_id"], s) in notes]
    shown = steps.filter(pl.col("step").is_in(marked[:STEPS]) | (pl.int_range(pl.len()) < STEPS - len(marked[:STEPS])))
    run = audit.runs.get(row["run_id"], Run())
    told = explain_steps(shown, run, ids=ids)
    for step in told:
        step["note"] = notes.get((row["request_id"], step["step"]))
    kept = _telling(told)
    return ViewedRequest(row["run_id"], row["request_id"], why, kept, int(row["steps"]) - len(kept))


def _telling(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Steps in which engine and law part or that a finding points at, each with its neighbours; of a quiet request the first ones."""
    odd = [
        i
        for i, s in enumerate(steps)
        if s["note"] or s["parts"] or s["beyond"] or any(t["agrees"] is False for t in s["tokens"])
    ]
    near = {j for i in odd[:TELLING] for j in (i - 1, i, i + 1)}
    return [s for j, s in enumerate(steps) if j in near] if odd else steps[:QUIET]
