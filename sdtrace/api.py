"""The public functions; the commands are a thin voice over them."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from sdtrace.audit.audit import Span
from sdtrace.checks import CHECKS
from sdtrace.comparison.compare import MARGIN, change
from sdtrace.comparison.report import change_report
from sdtrace.diagnosis.doubt import doubted, isolated
from sdtrace.document.document import compose
from sdtrace.document.viewer import worst_requests
from sdtrace.errors import NoInputError, SdtraceError, UsageError
from sdtrace.pipeline import OVERFLOW_ALLOWED, Inputs, Machines, audit_and_diagnose, opened_and_filtered, paths_of, read
from sdtrace.readers import Opened
from sdtrace.readers.inputs import Input, book, demand
from sdtrace.responses.ids.answers import answers
from sdtrace.responses.ids.judge import judge
from sdtrace.responses.ids.section import with_ids
from sdtrace.responses.ids.table import Table, read_table
from sdtrace.results.cause import Cause
from sdtrace.results.report import Report
from sdtrace.tuning.attach import attach, attach_counts
from sdtrace.tuning.run import Asked
from sdtrace.tuning.sample import gather, of_tally
from sdtrace.verify.explain import explain_steps


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
    tokenizer: str | None = None,
) -> Report:
    """Read, audit, check, diagnose: the main job.

    `since` and `until` are Unix seconds (steps without a time are left out by them), `where` holds conditions such as
    `tags.task=code` or `temperature=0`. `ids` lets token ids into the report; `baseline_ms` is the time of a plain
    step, where it is known. `machines` reads elsewhere: `sdtrace.audit.cluster.Ray().audit`.
    `tokenizer`, a folder with tokenizer.json, has the emitted ids looked at for corrupt text.
    Raises NoInputError and UsageError; damaged input is in the report instead.
    """
    table = None if tokenizer is None else read_table(tokenizer)
    if table is not None and (where or "-" in paths_of(inputs)):
        raise UsageError(
            "--tokenizer reads whole inputs, and twice", "leave --where out, and write standard input to a file"
        )
    found = _report(inputs, format, (since, until), where, ids=ids, baseline_ms=baseline_ms, machines=machines)
    return found if table is None else _by_ids(found, inputs, format, (since, until), table)


def _by_ids(found: Report, inputs: Inputs, format: str | None, span: Span, table: Table) -> Report:
    """The report with the emitted ids looked at, in a pass of their own."""
    sources, keep = opened_and_filtered(inputs, format, span, ())
    return with_ids(found, judge(answers(sources, keep), table), table)


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


@OVERFLOW_ALLOWED
def replay(inputs: Inputs, *, verifier: str, format: str | None = None, ids: bool = False, **how: Any) -> Report:
    """The report with `verifier` (a folder, a .gguf file, a hub name, the address of a vLLM or SGLang server) run again over the trace.

    `how`: drafter, suspects, requests, dtype, device, state, progress; see `sdtrace.replay.setup`. Raises
    MissingExtraError without the extra `replay`, and what `report` raises.
    """
    if verifier.startswith(("http://", "https://")):
        return _scored(inputs, verifier, format, ids=ids, **how)
    from sdtrace.replay.setup import conduct

    found = conduct(read(inputs, format=format), verifier=verifier, **how)
    from sdtrace.replay.section import with_replay  # needs torch, which `conduct` has asked for

    audit, judged = audit_and_diagnose(inputs, format, (None, None), ())
    plain = attach(compose(audit, judged, CHECKS, ids=ids), of_tally(audit, judged.choices), None)

    def weighed(causes: Sequence[Cause]) -> list[Cause]:
        return doubted(isolated(causes, audit.inputs, found.positions), audit.inputs)

    return replace(with_replay(plain, found, weighed), show=_show)


def _scored(inputs: Inputs, url: str, format: str | None, *, ids: bool, **how: Any) -> Report:
    """The report with the recorded ids scored by a running server."""
    from sdtrace.probe.scored import with_engine
    from sdtrace.replay.engine.client import Client
    from sdtrace.replay.engine.run import conduct

    only = [name for name in ("drafter", "suspects", "dtype", "device") if how.get(name)]
    if only:
        raise UsageError(f"--{only[0].removesuffix('s')} does not go with a server as verifier", "leave it out")
    client = Client(
        url, **{name: how[name] for name in ("key_from", "concurrency", "rate") if how.get(name) is not None}
    )
    found = conduct(read(inputs, format=format), client, how.get("requests"), how.get("state"), how.get("progress"))
    return with_engine(report(inputs, format=format, ids=ids), found)


@OVERFLOW_ALLOWED
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
    sides = [audit_and_diagnose(inputs, format, (since, until), where) for inputs in (base, candidate)]
    named = [(paths_of(inputs)[0], *side) for inputs, side in zip((base, candidate), sides, strict=True)]
    found = change(named[0], named[1], margin)
    return replace(change_report(found, sides[0][0], *sides[1], CHECKS), show=_show)


@OVERFLOW_ALLOWED
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
    first, found = audit_and_diagnose(inputs, format, span, where, baseline_ms, machines)
    traffic = of_tally(first, found.choices)
    if asked and any(one.total > len(one.text.first) for one in traffic):
        with suppress(SdtraceError):  # standard input cannot be read twice: the smaller sample has to do
            sources, keep = opened_and_filtered(inputs, format, span, where)
            traffic = gather(sources, first, found.choices, keep)
    report = attach(compose(first, found, CHECKS, ids=ids), traffic, asked)
    if asked and found.audit is None:
        report = attach_counts(report, found, asked)
    return replace(report, show=_show)


def _show(report: Report) -> str:
    """The page in a notebook; templates load only then."""
    from sdtrace.render import html

    return html.fragment(report)


def worth_a_look(input: str | Path, *, format: str | None = None) -> list[dict[str, Any]] | None:
    """Requests of a trace in the order in which one would look at them: findings point at them, decisions contradict the law, little
    is accepted. None for a case on paper, which is one step. Each: request_id, run_id, steps, disagree, rate, causes, step."""
    opened = read(input, format=format)
    if all(o.reader is not None and o.reader.words is not None for o in opened):
        return None
    return worst_requests(audit_and_diagnose(opened, None, (None, None), ())[1])


def explain(
    input: str | Path,
    *,
    request: str | None = None,
    step: int | None = None,
    run: str | None = None,
    format: str | None = None,
) -> dict[str, Any]:
    """The document of `explain --json`: why each drafted token of the chosen steps was accepted or rejected.

    A case on paper is one step; of a trace the request must be named (UsageError). Raises NoInputError where none is found.
    """
    opened = read(input, format=format)
    if request is None and any(o.reader is None or o.reader.words is None for o in opened):
        raise UsageError(f"{input}: which request?", f"sdtrace explain {input} --request ID [--step N]")
    inputs = [Input(source.path, source.format, source.engine) for source in opened]
    told = [row for one, held in zip(opened, inputs, strict=True) for row in _told(one, held, request, step, run)]
    if not told:
        demand(inputs)
        asked = f"request {request!r}" + (f", step {step}" if step is not None else "")
        raise NoInputError(f"{input}: no {asked}", "sdtrace report lists the worst requests; ids are compared exactly")
    return {"format": 1, "steps": told}


def _told(source: Opened, read: Input, request: str | None, step: int | None, run: str | None) -> list[dict[str, Any]]:
    runs: dict[str, dict[str, Any]] = {}
    found, temperatures = [], []
    for batch in source.batches():
        book(read, batch)
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
    if source.reader is None or source.reader.words is None:
        return told
    with source.at_hand() as src:
        return _in_words(told, source.reader.words(src))


def _in_words(rows: list[dict[str, Any]], words: dict[int, str]) -> list[dict[str, Any]]:
    """A case on paper with the tokens as they were written."""
    for step in rows:
        step["tokens"] = [token | {"token": words.get(token["position"], token["token"])} for token in step["tokens"]]
    return rows
