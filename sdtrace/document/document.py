"""The Report: the JSON document of format 1, sections in reading order, requests for the viewer. Lays out, decides nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.diagnosis.diagnose import Diagnosis
from sdtrace.diagnosis.texts import text_document, text_section
from sdtrace.document.about import about
from sdtrace.document.counters import counted_sections, counted_time
from sdtrace.document.timeline import first_of_all, over_time
from sdtrace.document.viewer import viewed
from sdtrace.readers.inputs import Input
from sdtrace.results.check import Check
from sdtrace.results.not_checked import sentences
from sdtrace.results.numbers import per_step
from sdtrace.results.report import Chart, Report, Section
from sdtrace.speed.sections import slice_section, time_sections
from sdtrace.speed.spans import spans_section, spans_time
from sdtrace.stats.ratio import FEWEST
from sdtrace.version import VERSION

_ABSENT = ("diff", "tuning", "replay", "history")


def compose(audit: Audit, diagnosis: Diagnosis, checks: Sequence[Check], *, ids: bool = False) -> Report:
    """Everything that was found, as plain values; token ids (content, to whoever has the tokenizer) only with `ids`."""
    return Report(
        document(audit, diagnosis, checks, ids=ids),
        sections(audit, diagnosis),
        viewed(audit, diagnosis, ids=ids),
        ids,
        diagnosis.not_checked,
        headline=diagnosis.headline,
    )


def document(audit: Audit, diagnosis: Diagnosis, checks: Sequence[Check], *, ids: bool = False) -> dict[str, Any]:
    """The document of vocabulary, keys in its order; keys beyond it are added at the end of their object."""
    blame = list(dict.fromkeys(c.blame for c in diagnosis.causes if c.certainty != "suspected"))
    return {
        "format": 1,
        "tool": "sdtrace",
        "version": VERSION,
        "inputs": [_input(i, audit) for i in audit.inputs],
        "verdict": {
            "state": diagnosis.state,
            "blame": blame,
            "headline": diagnosis.headline.text,
            "not_checked": sentences(diagnosis.not_checked),
            "coverage": diagnosis.coverage,
        },
        "causes": [cause.row(lambda row: _plain(row, ids)) for cause in diagnosis.causes],
        "checks": [_check(check, diagnosis) for check in checks],
        "audit": diagnosis.audit,
        "acceptance": diagnosis.acceptance,
        "time": _time(audit, diagnosis),
        **dict.fromkeys(_ABSENT),
        "record": _record(audit) if diagnosis.audit is not None else None,
        **_text(audit),
        "about": about(audit, diagnosis),
        "incident": None if diagnosis.incident is None else diagnosis.incident.row(),
        "changes": [change.row() for change in diagnosis.changes],
        "known_issues": diagnosis.known,
    }


def _time(audit: Audit, diagnosis: Diagnosis) -> dict[str, Any] | None:
    """Of recorded steps, else of a profile's spans, else of counts."""
    if diagnosis.timing is not None:
        return diagnosis.timing.document or spans_time(audit.windows)
    return spans_time(audit.windows) or counted_time(diagnosis)


def _text(audit: Audit) -> dict[str, Any]:
    """`text`, of inputs that hold responses with logprobs."""
    found = text_document(audit.texts)
    return {} if found is None else {"text": found}


def _record(audit: Audit) -> dict[str, Any]:
    """What the record itself is; the audit was made under what follows from it."""
    record = audit.record
    return {
        "keys": record.keys,
        "basis": record.basis,
        "seeds": record.seeds,
        "greedy": record.greedy,
        "losses_depend_on_outcome": record.losses_depend_on_outcome,
        "noise": record.noise,
        **({"joined": [dict(row) for row in record.joined]} if record.joined else {}),
    }


def _input(read: Input, audit: Audit) -> dict[str, Any]:
    rows = [
        [
            {"where": _where(x.path, x.line), "what": x.what, "count": x.count, "advice": x.advice, "kind": x.kind}
            for x in xs
        ]
        for xs in (read.losses, read.notices)
    ]
    return {
        "path": read.path,
        "format": read.format,
        "engine": read.engine,
        "lines": read.lines,
        "runs": read.runs,
        "requests": read.requests,
        "steps": read.steps,
        "positions": _positions(audit) if len(audit.inputs) == 1 else None,
        "windows": read.windows,
        "losses": rows[0],
        "notices": rows[1],
        "records": read.records,
    }


def _positions(audit: Audit) -> int:
    laws = audit.tally.frame("laws")
    if laws.is_empty():
        return 0
    per_run = laws.group_by("run_id", "source").agg(pl.col("drafted").max()) if _many(laws) else laws
    return int(per_run["drafted"].sum())


def _many(laws: pl.DataFrame) -> bool:
    return "candidate" in laws["source"]


def _where(path: str, line: int | None) -> str:
    return path if line is None else f"{path}:{line}"


#: What of a witness is a token id.
_IDS = frozenset({"token", "y", "x_rejected", "argmax", "argmax_y"})


def _plain(row: Mapping[str, Any], ids: bool) -> dict[str, Any]:
    shown = {k: v for k, v in row.items() if ids or k not in _IDS}
    return {k: (None if isinstance(v, float) and v - v != 0 else v) for k, v in shown.items()}


def _check(check: Check, diagnosis: Diagnosis) -> dict[str, Any]:
    outcome = diagnosis.outcomes[check.code]
    return {
        "code": check.code,
        "name": check.name,
        "state": outcome.state,
        "examined": outcome.examined,
        "total": outcome.total,
        "missing": list(outcome.missing),
        "value": outcome.value,
        "headline": outcome.headline,
    }


def sections(audit: Audit, diagnosis: Diagnosis) -> list[Section]:
    """Acceptance figures, then by position, over time, by request. Empty ones are left out."""
    text = [s for s in (text_section(audit.texts),) if s is not None]
    if diagnosis.audit is None:
        spans = [s for s in (spans_section(audit.windows),) if s is not None]
        return first_of_all([*text, *spans, *counted_sections(audit, diagnosis)], diagnosis)
    assert diagnosis.acceptance is not None
    made = [
        _figures(diagnosis.acceptance),
        _by_position(diagnosis.chosen.frame("positions")),
        over_time(audit, diagnosis),
        _by_request(diagnosis.chosen.requests),
    ]
    made += [slice_section(diagnosis.timing), *time_sections(diagnosis.timing)] if diagnosis.timing is not None else []
    made += [spans_section(audit.windows), *counted_sections(audit, diagnosis)]
    return first_of_all([*(s for s in made if s is not None), *text], diagnosis)


#: Figures that are tokens per step and shares, as their rows are named.
_PER_STEP = ["tokens per step", "expected tokens per step"]
_SHARES = ["acceptance, of drafted", "acceptance, of tested", "expected acceptance, of tested", "excess"]


def _figures(a: Mapping[str, Any]) -> Section:
    ci = a["ci"]
    rows: list[list[Any]] = [
        ["tokens per step", a["tokens_per_step"], *_ends(ci["tokens_per_step"]), "appended / steps"],
        ["expected tokens per step", a["expected_tokens_per_step"], None, None, "under the law, from p and q"],
        ["acceptance, of drafted", a["rate_of_drafted"], *_ends(ci["rate_of_drafted"]), "accepted / drafted"],
        ["acceptance, of tested", a["rate_of_tested"], *_ends(ci["rate_of_tested"]), "accepted / tested"],
        ["expected acceptance, of tested", a["expected_rate"], None, None, "mean of min(1, p/q)"],
        ["excess", a["excess"], *_ends(ci["excess"]), "observed minus expected; text bias per tested position"],
    ]
    says = f"{a['drafted']:,} tokens were drafted in {a['steps']:,} steps; how many were accepted is not recorded."
    if a["accepted"] is not None:
        says = f"{a['accepted']:,} of {a['drafted']:,} drafted tokens were accepted in {a['steps']:,} steps."
    if a["tokens_per_step"] is not None:
        says += f" Each step emitted {per_step(a['tokens_per_step'])} tokens on average."
    if ci["tokens_per_step"] is None and a["steps"]:
        says += f" Too few requests for an interval: it needs {FEWEST}."
    columns = ["figure", "value", "low (95%)", "high (95%)", "definition"]
    rows = [row for row in rows if row[1] is not None]
    return Section("acceptance", "Acceptance", says, columns, rows, shares=_SHARES, per_step=_PER_STEP)


def _ends(interval: Sequence[float] | None) -> list[float | None]:
    return [None, None] if interval is None else [interval[0], interval[1]]


def _by_position(table: pl.DataFrame) -> Section | None:
    if table.is_empty():
        return None
    sums = table.group_by("position", maintain_order=True).agg(pl.col(pl.Float64).sum()).sort("position").head(64)
    rows, observed, expected = [], [], []
    for row in sums.iter_rows(named=True):
        rate = row["accepted"] / row["tested"] if row["tested"] else None
        beta = row["expected"] / row["expected_n"] if row["expected_n"] else None
        observed.append(rate)
        expected.append(beta)
        rows.append([row["position"], int(row["verified"]), int(row["tested"]), int(row["accepted"]), rate, beta])
    series = {"observed": observed} | ({"expected": expected} if any(e is not None for e in expected) else {})
    first, last = observed[0], observed[-1]
    says = "Acceptance of tested tokens by position in the draft."
    if first is not None and last is not None and len(observed) > 1:
        word = "falls" if last < first else "rises"
        says = f"Given that a position is tested, acceptance {word} from {first:.0%} at the first to {last:.0%} at the last."
    chart = Chart("bars", "position in the draft", "accepted / tested", [str(r[0]) for r in rows], series, share=True)
    columns = ["position", "verified", "tested", "accepted", "accepted / tested", "expected"]
    return Section("by-position", "Acceptance by position", says, columns, rows, chart, columns[-2:])


def _by_request(table: pl.DataFrame) -> Section | None:
    if table.is_empty():
        return None
    shown = ("request_id", "steps", "tested", "appended", "disagree")
    table = table.select(*shown, rate=pl.col("accepted") / pl.col("drafted")).sort(
        ["disagree", "rate", "request_id"], descending=[True, False, False], nulls_last=True
    )
    rows = [
        [r["request_id"], r["steps"], int(r["tested"]), r["appended"] / r["steps"], r["rate"], int(r["disagree"])]
        for r in table.head(50).iter_rows(named=True)
    ]
    rates = table["rate"].drop_nulls().drop_nans()
    counts = [int(((rates >= k / 10) & ((rates < (k + 1) / 10) | (k == 9))).sum()) for k in range(10)]
    chart = Chart(
        "bars",
        "accepted / drafted of a request",
        "requests",
        [f"{k * 10}-{k * 10 + 10}%" for k in range(10)],
        {"requests": [float(c) for c in counts]},
    )
    says = f"{table.height:,} request{'' if table.height == 1 else 's'}"
    if len(rates):
        low, high = (f"{rates.quantile(q) or 0.0:.0%}" for q in (0.25, 0.75))
        says += f"; half of them accept {low if low == high else f'between {low} and {high}'} of what is drafted"
    says += ". The table shows the worst first."
    columns = ["request", "steps", "tested", "tokens per step", "accepted / drafted", "disagreements"]
    return Section(
        "by-request", "Acceptance by request", says, columns, rows, chart, ["accepted / drafted"], ["tokens per step"]
    )
