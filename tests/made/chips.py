"""Whether a page says a token that was not emitted: every chip and every sentence of the viewer against the trace itself."""

import re
from collections.abc import Iterable, Iterator
from html import unescape
from typing import Any

import polars as pl

from sdtrace.render import html, steps
from sdtrace.results.report import Report
from sdtrace.schema.trace import Batch

_STEP = re.compile(r'<div class="step[^"]*" id="(r(\d+)-step-(\d+))".*?(?=<div class="step|</section>)', re.DOTALL)
_APPENDED = re.compile(r"What the engine appended</div>\s*<ul class=\"chips\">(.*?)</ul>", re.DOTALL)
_CHIP = re.compile(r'<li class="chip ([\w-]+)[^"]*" title="[^"]*"><b>([^<]*)</b>')
_SAID = re.compile(r"(?:It is|It appended) token (\d+)")


def untrue(report: Report, batches: Iterable[Batch]) -> list[str]:
    """Places of the viewer that name another token than the trace holds there. The report must show ids."""
    assert report.ids
    known = {
        (row["request_id"], row["step"]): row
        for batch in batches
        for row in batch.steps.select("request_id", "step", "draft_token_ids", "output_token_ids").iter_rows(named=True)
    }
    page = html.page(report).decode()
    drawn = {(int(m[2]), int(m[3])): m[0] for m in _STEP.finditer(page)}
    wrong: list[str] = []
    for i, viewed in enumerate(report.viewer, 1):
        for step in viewed.steps:
            row = known[(viewed.request_id, step["step"])]
            wrong += _of_step(step, row, drawn[(i, step["step"])], f"{viewed.request_id}, step {step['step']}")
    return wrong


def _of_step(step: dict[str, Any], row: dict[str, Any], drawn: str, where: str) -> Iterator[str]:
    draft, output = row["draft_token_ids"] or [], row["output_token_ids"]
    chips = [(kind, unescape(name).strip()) for kind, name in _CHIP.findall(drawn)]
    shown = [
        name.split(" ")[-1] for kind, name in chips if kind in ("accepted", "rejected", "not-reached", "undecidable")
    ]
    appended = _APPENDED.search(drawn)
    if step["parts"] or step["beyond"]:
        assert appended is not None, where
        told = [name for _, name in _CHIP.findall(appended[1])]
        if told != [str(token) for token in output]:
            yield f"{where}: appended {told}, in the trace {output}"
        shown = [name.split(" ")[-1] for kind, name in _CHIP.findall(drawn[: appended.start()]) if kind != "last"]
    elif step["last"] is not None:
        (told_last,) = [name for kind, name in chips if kind == "last"]
        if told_last != f"+ {output[-1]}" or output[: len(output) - 1] != draft[: len(output) - 1]:
            yield f"{where}: {told_last} after the block, in the trace {output}"
    if shown != [str(token) for token in draft]:
        yield f"{where}: drafted {shown}, in the trace {draft}"
    for said in [*_SAID.findall(step["sentence"]), *_SAID.findall(steps.explanation({"steps": [step]}))]:
        if int(said) not in output:
            yield f"{where}: said token {said}, in the trace {output}"


def evidence_untrue(report: Report, batches: Iterable[Batch]) -> list[str]:
    """Pieces of evidence whose token stands at none of the places of its step."""
    found = []
    frame = pl.concat([b.steps.select("request_id", "step", "draft_token_ids", "output_token_ids") for b in batches])
    known = {(r["request_id"], r["step"]): r for r in frame.iter_rows(named=True)}
    for cause in report.document["causes"]:
        for row in cause["evidence"]:
            token, place = row.get("token"), known.get((row.get("request_id"), row.get("step")))
            if token is not None and place is not None:
                there = [*(place["draft_token_ids"] or []), *(place["output_token_ids"] or [])]
                found += [] if token in there else [f"{cause['cause']}: {row}, in the trace {place}"]
    return found
