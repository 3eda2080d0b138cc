"""Single decisions in words: the steps of a request, or of a case on paper."""

from pathlib import Path
from typing import Any

import polars as pl

from sdtrace.document.spelled import speller, with_text
from sdtrace.document.viewer import worst_requests
from sdtrace.errors import NoInputError, UsageError
from sdtrace.pipeline import audit_and_diagnose, read
from sdtrace.readers import Opened
from sdtrace.readers.inputs import Input, book, demand
from sdtrace.schema.run import Run, runs_of
from sdtrace.verify.explain import explain_steps


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
    tokenizer: str | None = None,
) -> dict[str, Any]:
    """The document of `explain --json`: why each drafted token of the chosen steps was accepted or rejected.

    `tokenizer`, a folder with tokenizer.json, has each token shown as text, too (extra `text`).
    A case on paper is one step; of a trace the request must be named (UsageError). Raises NoInputError where none is found.
    """
    spell = None if tokenizer is None else speller(tokenizer)
    opened = read(input, format=format)
    if request is None and any(o.reader is None or o.reader.words is None for o in opened):
        raise UsageError(f"{input}: which request?", f"sdtrace explain {input} --request ID [--step N]")
    inputs = [Input(source.path, source.format, source.engine) for source in opened]
    told = [row for one, held in zip(opened, inputs, strict=True) for row in _told(one, held, request, step, run)]
    if not told:
        demand(inputs)
        asked = f"request {request!r}" + (f", step {step}" if step is not None else "")
        raise NoInputError(f"{input}: no {asked}", "sdtrace report lists the worst requests; ids are compared exactly")
    return {"format": 1, "steps": told if spell is None else [with_text(step, spell) for step in told]}


def _told(source: Opened, read: Input, request: str | None, step: int | None, run: str | None) -> list[dict[str, Any]]:
    runs: dict[str, Run] = {}
    found, temperatures = [], []
    for batch in source.batches():
        book(read, batch)
        runs |= runs_of(batch.runs)
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
        told += explain_steps(part, runs.get(str(run_id), Run()))
    if source.reader is None or source.reader.words is None:
        return told
    with source.at_hand() as src:
        return _in_words(told, source.reader.words(src))


def _in_words(rows: list[dict[str, Any]], words: dict[int, str]) -> list[dict[str, Any]]:
    """A case on paper with the tokens as they were written."""
    for step in rows:
        step["tokens"] = [token | {"token": words.get(token["position"], token["token"])} for token in step["tokens"]]
    return rows
