"""One night in a few kilobytes: what it counted, its figures by service, its evidence, what its report found."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.diagnosis.acceptance import acceptance
from sdtrace.diagnosis.diagnose import Diagnosis
from sdtrace.history.audit_store import TOKENS
from sdtrace.history.mix import cells
from sdtrace.history.services import Service, services
from sdtrace.schema.json_values import Json

_FIGURES = (
    "steps",
    "drafted",
    "tested",
    "accepted",
    "tokens_per_step",
    "rate_of_drafted",
    "expected_tokens_per_step",
    "excess",
)
_BETS = tuple(f"e{i}" for i in range(10))


def record(night: str, audit: Audit, diagnosis: Diagnosis, inputs: Sequence[Mapping[str, Any]]) -> Json:
    """The record of a night: plain values, no token and no text. `inputs` are the contents that it counts."""
    mine = services(audit)
    of_run = {run: service.name for service in mine for run in service.runs}
    return {
        "night": night,
        "inputs": list(inputs),
        "verdict": {"state": diagnosis.state, "headline": diagnosis.headline},
        "causes": [
            {
                "cause": c.cause,
                "side": c.side,
                "certainty": c.certainty,
                "headline": c.headline,
                "advice": c.instruction.in_line(),
                "next": c.instruction.row(),
                "checks": list(c.checks),
                "service": _blamed(c.evidence, of_run, mine),
                "evidence": [{k: v for k, v in row.items() if k not in TOKENS} for row in c.evidence[:1]],
            }
            for c in diagnosis.causes
        ],
        "services": {s.name: _service(s, audit, diagnosis) for s in mine},
    }


def _blamed(evidence: Sequence[Mapping[str, Any]], of_run: Mapping[str, str], mine: Sequence[Service]) -> str:
    """The service that a cause is about: that of its first witness, or the only one."""
    for row in evidence:
        if row.get("run_id") in of_run:
            return of_run[row["run_id"]]
    return mine[0].name if len(mine) == 1 else ""


def _service(service: Service, audit: Audit, diagnosis: Diagnosis) -> Json:
    told = {"fingerprint": service.fingerprint, "parts": service.parts}
    if not service.runs:
        figures = diagnosis.acceptance or {}
        counts = {n: figures.get(n) for n in _FIGURES} | _speed_of_counts(diagnosis)
        return told | {"figures": counts, "cells": {}, "evidence": {}, "disagree": None}
    rows = pl.col("run_id").is_in(list(service.runs))
    laws, positions = (diagnosis.chosen.frame(n).filter(rows) for n in ("laws", "positions"))
    # a request that moved within the service counts once; one that moved to another counts in each by its part
    moved = diagnosis.chosen.moved.filter(rows, pl.col("began_in").is_in(list(service.runs)))
    requests = replace(diagnosis.chosen, moved=moved).requests.filter(rows)
    figures = acceptance(laws, positions, requests) or {}
    # what gathers over months must not gather from a damaged night: nothing in such an input is proof
    damaged = any(i.doubt is not None and i.doubt.figures for i in audit.inputs)
    return told | {
        "figures": {n: figures.get(n) for n in _FIGURES} | _speed(audit.tally.frame("cost").filter(rows)),
        "cells": cells(requests, _heads(audit.requests, moved)),
        "evidence": {} if damaged else _evidence(diagnosis.chosen.frame("evidence").filter(rows)),
        "disagree": int(laws["disagree"].sum()),
    }


def _heads(heads: pl.DataFrame, moved: pl.DataFrame) -> pl.DataFrame:
    """Request lines; a request that moved may have its line only where it went on."""
    there = heads.join(moved.select("run_id", "request_id", "began_in"), on=["run_id", "request_id"], how="inner")
    began = there.with_columns(run_id="began_in").select(heads.columns)
    return pl.concat([heads, began]).unique(["run_id", "request_id"], keep="first", maintain_order=True)


def _speed(cost: pl.DataFrame) -> dict[str, float | None]:
    """Mean milliseconds of an engine step, and tokens per second of a request that has one token stream."""
    w, wt, lines, tokens = (
        cost.select(pl.col("w", "wt", "timed", "timed_tokens").sum()).row(0) if cost.height else [0] * 4
    )
    if not (w and wt and lines):
        return {"step_ms": None, "tokens_per_second": None}
    return {"step_ms": wt / w, "tokens_per_second": 1000 * (tokens / lines) / (wt / w)}


def _speed_of_counts(diagnosis: Diagnosis) -> dict[str, float | None]:
    """The same of the speed that has most behind it."""
    best = diagnosis.speeds[0] if diagnosis.speeds else None
    return (
        {"step_ms": best.step_ms, "tokens_per_second": best.per_request}
        if best
        else dict.fromkeys(("step_ms", "tokens_per_second"))
    )


def _evidence(rows: pl.DataFrame) -> dict[str, list[float]]:
    """Log e-process sums of the night by check: what each bet gained."""
    if rows.is_empty():
        return {}
    sums = rows.group_by("code", maintain_order=True).agg(pl.col(_BETS).sum(), pl.col("n").sum()).sort("code")
    return {r["code"]: [r[name] for name in _BETS] for r in sums.iter_rows(named=True) if r["n"]}
