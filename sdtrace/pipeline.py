"""Read, audit, judge again where another law fits, diagnose: what verbs share before anything is laid out."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from sdtrace.audit.audit import Audit, Keep, Span, audit
from sdtrace.audit.opened import OpenInput
from sdtrace.checks import CHECKS
from sdtrace.diagnosis.diagnose import Diagnosis, diagnose
from sdtrace.diagnosis.law_choice import Fit, misfits
from sdtrace.diagnosis.trial import tried
from sdtrace.document.document import compose
from sdtrace.errors import SdtraceError, UsageError
from sdtrace.readers import Opened, open_inputs
from sdtrace.readers.inputs import demand
from sdtrace.results.check import Check
from sdtrace.results.report import Report
from sdtrace.tuning.attach import attach
from sdtrace.tuning.sample import of_tally
from sdtrace.verify.rulings import Rulings, merged
from sdtrace.verify.scope import REQUEST_COLUMNS

#: What adds up sources: the audit of this process, or of a cluster.
Machines = Callable[[Sequence[OpenInput], Sequence[Check], Keep | None, Rulings | None, Span], Audit]


Inputs = str | Path | Sequence[str | Path] | Sequence[Opened]


#: Damaged numbers (1e300 for a probability) may overflow on their way: what is not finite in the end is null.
OVERFLOW_ALLOWED = np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore")


def read(inputs: Inputs, *, format: str | None = None) -> list[Opened]:
    """Open files, folders, globs or `-`: one object an input, each with `path`, `format` and `batches()`.

    What is opened already is given back. Raises NoInputError where nothing is found or nothing is recognised.
    """
    opened = [] if isinstance(inputs, str | Path) else [one for one in inputs if isinstance(one, Opened)]
    return opened or open_inputs(paths_of(inputs), format)


def audit_and_diagnose(
    inputs: Inputs,
    format: str | None,
    span: Span,
    where: Sequence[str],
    baseline_ms: float | None = None,
    machines: Machines | None = None,
) -> tuple[Audit, Diagnosis]:
    sources, keep = opened_and_filtered(inputs, format, span, where)
    first, overridden = audited(sources, keep, span, machines)
    return first, diagnose(first, CHECKS, overridden, baseline_ms)


def opened_and_filtered(
    inputs: Inputs, format: str | None, span: Span, where: Sequence[str]
) -> tuple[list[Opened], Callable[[pl.DataFrame], pl.DataFrame] | None]:
    """Opened inputs, and what keeps the wanted steps of them."""
    since, until = span
    opened = [replace(source, since=since, until=until) for source in read(inputs, format=format)]
    return opened, _keep(since, until, where)


def audited(
    sources: Sequence[OpenInput], keep: Keep | None = None, span: Span = (None, None), machines: Machines | None = None
) -> tuple[Audit, dict[str, Fit]]:
    """The pass over all sources, and the runs that were judged by another law than the one they declare.

    `machines` is the `audit` of a cluster; without it, this process reads. Raises NoInputError where nothing can be read.
    """
    run = machines or audit
    first = run(sources, CHECKS, keep, None, span)
    demand(first.inputs)
    first, rulings = _tried(first, partial(_again, run, sources, keep, span))
    overridden = misfits(first)
    if overridden:
        laws: Rulings = {run_id: {"rule": fit.law} for run_id, fit in overridden.items()}
        again = _again(run, sources, keep, span, merged(rulings, laws))
        first = replace(again, record=first.record) if again is not None else first
    return first, overridden


#: Trials in a row: a fault of the record may hide another one.
_TRIALS = 4


def _tried(first: Audit, again: Callable[[Rulings], Audit | None]) -> tuple[Audit, Rulings]:
    """The audit under what the trial of its record rules, with the record; where it cannot be read again, distrusted."""
    record, more = tried(first, CHECKS)
    rulings: Rulings = {}
    for _ in range(_TRIALS):
        if not more:
            break
        rulings = merged(rulings, more)
        found = again(rulings)
        if found is None:
            return replace(first, record=replace(record, distrusted=frozenset(more))), rulings
        first = found
        record, more = tried(first, CHECKS, record)
    return replace(first, record=record), rulings


def diagnosis_and_report(whole: Audit, overridden: Mapping[str, Fit]) -> tuple[Diagnosis, Report]:
    """The diagnosis and the report of an audit, from whatever it was added up; token ids are not shown."""
    found = diagnose(whole, CHECKS, overridden)
    return found, attach(compose(whole, found, CHECKS), found, of_tally(whole, found.choices), None)


def _again(
    run: Machines, sources: Sequence[OpenInput], keep: Keep | None, span: Span, rulings: Rulings
) -> Audit | None:
    """The pass once more under rulings; None where an input (standard input) cannot be read twice."""
    try:
        return run(sources, CHECKS, keep, rulings, span)
    except SdtraceError:
        return None


def paths_of(inputs: Inputs) -> list[str]:
    given = [inputs] if isinstance(inputs, str | Path) else inputs
    return [one.path if isinstance(one, Opened) else str(one) for one in given]


def _keep(
    since: float | None, until: float | None, where: Sequence[str]
) -> Callable[[pl.DataFrame], pl.DataFrame] | None:
    conditions = [_condition(text) for text in where]
    if since is not None:
        conditions.append(pl.col("at") >= since)
    if until is not None:
        conditions.append(pl.col("at") <= until)
    if not conditions:
        return None
    wanted = pl.all_horizontal(conditions).fill_null(value=False).alias("keep")
    return lambda steps: steps.select(wanted)


def _condition(text: str) -> pl.Expr:
    """`tags.KEY=VALUE`, or `COLUMN=VALUE` for run_id, request_id and the columns of a request."""
    name, found, value = text.partition("=")
    name, value = name.strip(), value.strip()
    if found and re.fullmatch(r"tags\.[\w-]+", name):
        key = name.removeprefix("tags.")
        return pl.col("tags").str.json_path_match(f"$['{key}']") == value
    if found and name in ("run_id", "request_id", "finish_reason"):
        return pl.col(name) == value
    if found and name in REQUEST_COLUMNS and name not in ("tags", "stop_token_ids"):
        try:
            return pl.col(name).cast(pl.Float64) == float(value)
        except ValueError:
            raise UsageError(
                f"--where {text}: {value!r} is no number", f"{name} is numeric: --where {name}=0"
            ) from None
    raise UsageError(
        f"--where {text!r} is not understood",
        "use tags.KEY=VALUE, request_id=..., run_id=..., or a sampling parameter such as temperature=0",
    )
