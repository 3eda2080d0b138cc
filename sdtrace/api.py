"""The public functions; the commands are a thin voice over them."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from sdtrace.audit.audit import Audit, Keep, Source, Span, audit
from sdtrace.checks import CHECKS
from sdtrace.comparison.compare import MARGIN, change
from sdtrace.comparison.report import change_report
from sdtrace.diagnosis.diagnose import Diagnosis, diagnose, misfits
from sdtrace.diagnosis.law_choice import Fit
from sdtrace.document.document import compose
from sdtrace.errors import NoInputError, SdtraceError, UsageError
from sdtrace.readers import Opened, open_inputs
from sdtrace.readers.trace import paper
from sdtrace.results.check import Check
from sdtrace.results.report import Report
from sdtrace.tuning.attach import attach
from sdtrace.tuning.run import Asked
from sdtrace.tuning.sample import gather, of_tally
from sdtrace.verify.explain import explain_steps
from sdtrace.verify.scope import REQUEST_COLUMNS

#: What adds up sources: the audit of this process, or of a cluster.
Machines = Callable[[Sequence[Source], Sequence[Check], Keep | None, Mapping[str, str] | None, Span], Audit]
Inputs = str | Path | Sequence[str | Path]

#: Damaged numbers (1e300 for a probability) may overflow on their way: what is not finite in the end is null.
_HOSTILE = np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore")


def read(inputs: Inputs, *, format: str | None = None) -> list[Opened]:
    """Open files, folders, globs or `-`: one object an input, each with `path`, `format` and `batches()`.

    Raises NoInputError where nothing is found or nothing is recognised.
    """
    return open_inputs(_paths(inputs), format)


def report(
    inputs: Inputs,
    *,
    format: str | None = None,
    since: float | None = None,
    until: float | None = None,
    where: Sequence[str] = (),
    ids: bool = False,
    baseline_ms: float | None = None,
    machines: Machines | None = None,
) -> Report:
    """Read, audit, check, diagnose: the main job.

    `since` and `until` are Unix seconds (steps without a time are left out by them), `where` holds conditions such as
    `tags.task=code` or `temperature=0`. `ids` lets token ids into the report; `baseline_ms` is the time of a plain
    step, where it is known. `machines` reads elsewhere: `sdtrace.audit.cluster.Ray().audit`.
    Raises NoInputError and UsageError; damaged input is in the report instead.
    """
    return _report(inputs, format, (since, until), where, ids=ids, baseline_ms=baseline_ms, machines=machines)


def tune(
    inputs: Inputs,
    *,
    format: str | None = None,
    since: float | None = None,
    until: float | None = None,
    where: Sequence[str] = (),
    baseline_ms: float | None = None,
    draft_cost: float | None = None,
    slo_tpot_ms: float | None = None,
    slo_itl_ms: float | None = None,
    ids: bool = False,
) -> Report:
    """The report with a closer look at settings: a larger sample for tau, budget and policies, and what the user knows.

    `baseline_ms` prices a step without a draft, `draft_cost` a drafted token in such steps; the rest are limits in ms.
    """
    asked = Asked(baseline_ms, draft_cost, slo_tpot_ms, slo_itl_ms)
    return _report(inputs, format, (since, until), where, asked=asked, ids=ids, baseline_ms=baseline_ms)


def replay(inputs: Inputs, *, verifier: str, format: str | None = None, ids: bool = False, **how: Any) -> Report:
    """The report with `verifier` (a folder, a .gguf file, a hub name) run again over the trace.

    `how`: drafter, suspects, requests, dtype, device, state, progress; see `sdtrace.replay.setup`. Raises
    MissingExtraError without the extra `replay`, and what `report` raises.
    """
    from sdtrace.replay.setup import conduct

    found = conduct(read(inputs, format=format), verifier=verifier, **how)
    from sdtrace.replay.section import with_replay  # needs torch, which `conduct` has asked for

    return with_replay(report(inputs, format=format, ids=ids), found)


@_HOSTILE
def diff(
    base: Inputs,
    candidate: Inputs,
    *,
    format: str | None = None,
    since: float | None = None,
    until: float | None = None,
    where: Sequence[str] = (),
    margin: float = MARGIN,
) -> Report:
    """What changed from `base` to `candidate`: verdict, causes and `diff` of the document speak of the change.

    `margin` is the relative change of speed that nobody minds. The two may be of different formats; what both can say is
    compared. Raises as `report` does.
    """
    sides = [_audited(inputs, format, (since, until), where) for inputs in (base, candidate)]
    named = [(_paths(inputs)[0], *side) for inputs, side in zip((base, candidate), sides, strict=True)]
    found = change(named[0], named[1], margin)
    return replace(change_report(found, sides[0][0], *sides[1], CHECKS), show=_show)


def _audited(
    inputs: Inputs,
    format: str | None,
    span: Span,
    where: Sequence[str],
    baseline_ms: float | None = None,
    machines: Machines | None = None,
) -> tuple[Audit, Diagnosis]:
    sources, keep = _sources(inputs, format, span, where)
    first, overridden = audited(sources, keep, span, machines)
    return first, diagnose(first, CHECKS, overridden, baseline_ms)


def _sources(
    inputs: Inputs, format: str | None, span: Span, where: Sequence[str]
) -> tuple[list[Opened], Callable[[pl.DataFrame], pl.DataFrame] | None]:
    """Opened inputs, and what keeps the wanted steps of them."""
    since, until = span
    opened = [replace(source, since=since, until=until) for source in read(inputs, format=format)]
    return opened, _keep(since, until, where)


@_HOSTILE
def _report(
    inputs: Inputs,
    format: str | None,
    span: Span,
    where: Sequence[str],
    *,
    asked: Asked | None = None,
    ids: bool = False,
    baseline_ms: float | None = None,
    machines: Machines | None = None,
) -> Report:
    """With `asked`, settings are tried on a sample from a pass of its own, where the input can be read twice."""
    first, found = _audited(inputs, format, span, where, baseline_ms, machines)
    traffic = of_tally(first, found.choices)
    if asked and any(one.total > len(one.text.first) for one in traffic):
        with suppress(SdtraceError):  # standard input cannot be read twice: the smaller sample has to do
            sources, keep = _sources(inputs, format, span, where)
            traffic = gather(sources, first, found.choices, keep)
    report = attach(compose(first, found, CHECKS, ids=ids), traffic, asked)
    return replace(report, show=_show)


def audited(
    sources: Sequence[Source], keep: Keep | None = None, span: Span = (None, None), machines: Machines | None = None
) -> tuple[Audit, dict[str, Fit]]:
    """The pass over all sources, and the runs that were judged by another law than the one they declare.

    `machines` is the `audit` of a cluster; without it, this process reads.
    """
    run = machines or audit
    first = run(sources, CHECKS, keep, None, span)
    overridden = misfits(first)
    if overridden:
        first = _again(run, sources, keep, {run_id: fit.law for run_id, fit in overridden.items()}, span) or first
    return first, overridden


def told(whole: Audit, overridden: Mapping[str, Fit]) -> tuple[Diagnosis, Report]:
    """The diagnosis and the report of an audit, from whatever it was added up; token ids are not shown."""
    found = diagnose(whole, CHECKS, overridden)
    return found, attach(compose(whole, found, CHECKS), of_tally(whole, found.choices), None)


def _show(found: Report) -> str:
    """The page in a notebook; templates load only then."""
    from sdtrace.render import html

    return html.fragment(found)


def _again(
    run: Machines, sources: Sequence[Source], keep: Keep | None, rules: dict[str, str], span: Span
) -> Audit | None:
    """The pass once more under the laws that do fit; None where an input (standard input) cannot be read twice."""
    try:
        return run(sources, CHECKS, keep, rules, span)
    except SdtraceError:
        return None


def _paths(inputs: Inputs) -> list[str]:
    return [str(inputs)] if isinstance(inputs, str | Path) else [str(path) for path in inputs]


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


def explain(
    input: str | Path,
    *,
    request: str | None = None,
    step: int | None = None,
    run: str | None = None,
    format: str | None = None,
) -> dict[str, Any]:
    """The document of `explain --json`: why each drafted token of the chosen steps was accepted or rejected.

    A paper case is one step; of a trace the request must be named, and is searched to the end. Raises UsageError where
    no request is named, NoInputError where no such step is found.
    """
    opened = read(input, format=format)
    if request is None and any(o.format != "paper-csv" for o in opened):
        raise UsageError(f"{input}: which request?", f"sdtrace explain {input} --request ID [--step N]")
    told: list[dict[str, Any]] = []
    for source in opened:
        told += _told(source, request, step, run)
    if not told:
        asked = f"request {request!r}" + (f", step {step}" if step is not None else "")
        raise NoInputError(f"{input}: no {asked}", "sdtrace report lists the worst requests; ids are compared exactly")
    return {"format": 1, "steps": told}


def _told(source: Opened, request: str | None, step: int | None, run: str | None) -> list[dict[str, Any]]:
    runs: dict[str, dict[str, Any]] = {}
    found, temperatures = [], []
    for batch in source.batches():
        runs |= {row["run_id"]: row for row in batch.runs.iter_rows(named=True)}
        wanted = pl.lit(value=True) if request is None else pl.col("request_id") == request
        if run is not None:
            wanted &= pl.col("run_id") == run
        temperatures.append(batch.requests.filter(wanted).select("run_id", "request_id", "temperature"))
        chosen = wanted if step is None else wanted & (pl.col("step") == step)
        found.append(batch.steps.filter(chosen))
    known = pl.concat(temperatures).unique(["run_id", "request_id"], keep="last")
    steps = pl.concat(found).join(known, on=["run_id", "request_id"], how="left").with_columns(path=pl.lit(source.path))
    told = []
    for (run_id,), part in steps.sort("run_id", "request_id", "step").group_by("run_id", maintain_order=True):
        told += explain_steps(part, runs.get(str(run_id), {}))
    if source.format != "paper-csv":
        return told
    with source.at_hand() as src:
        return _in_words(told, paper.words(src))


def _in_words(told: list[dict[str, Any]], words: dict[int, str]) -> list[dict[str, Any]]:
    """A case on paper with the tokens as they were written."""
    for step in told:
        step["tokens"] = [token | {"token": words.get(token["position"], token["token"])} for token in step["tokens"]]
    return told
