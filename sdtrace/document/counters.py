"""Sections from counts: figures, by position, over time, sources side by side, every engine's definition, announcements."""

from typing import Any

import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.counters.agreement import beside, emitted, over_all
from sdtrace.counters.definitions import Totals, definitions
from sdtrace.counters.figures import plain, totals, whole
from sdtrace.counters.sources import CounterSource
from sdtrace.counters.speed import Speed
from sdtrace.counters.timeline import timelines
from sdtrace.diagnosis.diagnose import Diagnosis
from sdtrace.document.changes import changes_section
from sdtrace.document.known import known_section
from sdtrace.document.series import series_section
from sdtrace.results.report import Chart, Section, Value
from sdtrace.results.words import tokens


def counted_sections(audit: Audit, diagnosis: Diagnosis) -> list[Section]:
    """Everything that windows say; empty sections are left out."""
    source = diagnosis.figures_from
    made = [
        _figures(diagnosis.acceptance, source) if source is not None and diagnosis.acceptance is not None else None,
        _positions(source) if source is not None else None,
        series_section(diagnosis.acceptance),
        *(timelines(audit.windows, _timed(diagnosis.sources, source)) if source is not None else []),
        _speed(diagnosis),
        _lengths((diagnosis.acceptance or {}).get("by_draft_length") or []),
        changes_section(diagnosis.changes),
        known_section(diagnosis.known),
        _load(audit.windows),
        _sources(diagnosis.sources, source),
        _definitions(diagnosis, source),
        _events(audit),
    ]
    return [s for s in made if s is not None]


def _timed(sources: list[CounterSource], source: CounterSource) -> CounterSource:
    """The source that shows time best: stretches between lines or samples, where the engine has three of them."""
    kinds = ("interval", "iteration", "counter")
    able = [s for s in sources if s.engine == source.engine and s.basis in kinds and s.windows >= 3 and s.pooled]
    return max(able, key=lambda s: (s.first_at is not None, -kinds.index(s.basis)), default=source)


_OVER_ALL = "tokens per step, all steps"


def _figures(a: dict[str, Any], source: CounterSource) -> Section:
    ends = {name: a["ci"][name] or [None, None] for name in ("tokens_per_step", "rate_of_drafted")}
    alone = plain(source)
    rows: list[list[Value]] = [
        [
            tokens(a),
            a["tokens_per_step"],
            *ends["tokens_per_step"],
            "emitted / steps; nothing was drafted" if alone else "1 + accepted / steps that drafted",
        ],
        ["acceptance, of drafted", a["rate_of_drafted"], *ends["rate_of_drafted"], "accepted / drafted"],
        ["steps" if alone else "steps that drafted", a["steps"], None, None, "request-steps"],
        ["drafted tokens", a["drafted"], None, None, ""],
        ["accepted tokens", a["accepted"], None, None, "without the bonus"],
        ["emitted tokens", whole(source.counts["emitted"]), None, None, ""],
    ]
    if (over := over_all(source, source.requests or None)) is not None:
        every, length = over
        rows.insert(1, [_OVER_ALL, length, None, None, f"of about {every:,.0f} steps, those without a draft too"])
    says = f"From {source.windows:,} {'record' if source.windows == 1 else 'records'} of {source.name}"
    says += f" ({', '.join(source.families)})." if source.families else "."
    columns = ["figure", "value", "low (95%)", "high (95%)", "definition"]
    return Section(
        "acceptance",
        "Acceptance",
        says,
        columns,
        [r for r in rows if r[1] is not None],
        shares=["acceptance, of drafted"],
        per_step=[tokens(a), _OVER_ALL],
    )


def _positions(source: CounterSource) -> Section | None:
    drafts = source.position_drafts
    if not drafts or not source.accepted_by_position:
        return None
    rates = [n / drafts for n in source.accepted_by_position[:64]]
    rows: list[list[Value]] = [
        [j, round(n, 1), r] for j, (n, r) in enumerate(zip(source.accepted_by_position, rates, strict=False))
    ]
    says = f"{rates[0]:.0%} of the steps that drafted accept the first token, {rates[-1]:.0%} accept all {len(rates)}."
    chart = Chart(
        "bars",
        "position in the draft",
        "steps that accept it",
        [str(r[0]) for r in rows],
        {"marginal": list(rates)},
        share=True,
    )
    columns = ["position", "steps that accepted it", "of steps that drafted"]
    return Section("by-position", "Acceptance by position", says, columns, rows, chart, columns[-1:])


def _speed(diagnosis: Diagnosis) -> Section | None:
    """Tokens per second at a load, and what a step of one request takes."""
    if not diagnosis.speeds:
        return None
    rows: list[list[Value]] = [
        [
            f"{s.engine} {s.surface}",
            f"{s.rows.height:,} x {s.kind}",
            s.engine_tps,
            s.running,
            s.per_request,
            s.length,
            s.step_ms,
        ]
        for s in diagnosis.speeds
    ]
    says = (
        "Tokens over time, without stretches in which nothing ran. A request's share is the throughput over the running"
    )
    says += " requests; its step takes tokens per step over that speed. Lines without a speed are left out."
    columns = [
        "source",
        "covers",
        "tokens/s",
        "running requests",
        "tokens/s of a request",
        "tokens per timed step",
        "ms a timed step",
    ]
    return Section("speed", "Speed", says, columns, rows)


def best_speed(diagnosis: Diagnosis) -> Speed | None:
    """The speed of the engine that the acceptance is of, while it drafted: of several, the one with most behind it."""
    source = diagnosis.figures_from
    mine = [s for s in diagnosis.speeds if source is not None and s.engine == source.engine and s.drafting]
    return next((s for s in mine if s.step_ms), mine[0] if mine else None)


def counted_time(diagnosis: Diagnosis) -> dict[str, Any] | None:
    """The `time` of counts: the speed that has most behind it; None where the input holds none."""
    if not diagnosis.speeds:
        return None
    best = best_speed(diagnosis) or diagnosis.speeds[0]
    absent = dict.fromkeys(("draft_ms", "verify_ms", "sample_ms", "unattributed_ms", "baseline_ms", "baseline_basis"))
    absent |= dict.fromkeys(("speedup", "speedup_low", "speedup_high", "break_even_tokens_per_step", "bottleneck"))
    return (
        {"step_ms": best.step_ms}
        | absent
        | {
            "gain_if_removed": None,
            "hidden_ms": None,
            "tokens_per_step": best.length,
            "tokens_per_second": best.per_request,
            "engine_tokens_per_second": best.engine_tps,
            "running": best.running,
            "source": f"{best.engine} {best.surface}",
            "rows": best.rows.height,
        }
    )


def _lengths(records: list[dict[str, Any]]) -> Section | None:
    """Figures by the draft length that was in force."""
    if not records:
        return None
    names = ("k", "windows", "steps", "drafted", "accepted", "rate_of_drafted", "tokens_per_step", "running")
    rows: list[list[Value]] = [[row[n] for n in names] for row in records]
    says = f"{len(records)} draft lengths were in force. A switch of the length changes the share that is accepted; compare within a row."
    columns = [
        "k",
        "windows",
        "steps",
        "drafted",
        "accepted",
        "accepted / drafted",
        "tokens per drafting step",
        "running requests",
    ]
    shares, per_step = ["accepted / drafted"], ["tokens per drafting step"]
    return Section(
        "by-draft-length", "Acceptance by draft length", says, columns, rows, shares=shares, per_step=per_step
    )


def _load(windows: pl.DataFrame) -> Section | None:
    """Throughput, running and waiting requests, as engines print them."""
    mine = windows.filter(pl.col("generation_tps").is_not_null() | pl.col("running").is_not_null())
    if mine.height < 2:
        return None
    rows: list[list[Value]] = []
    for (engine, surface), part in mine.group_by("engine", "surface", maintain_order=True):
        for name, column in (
            ("generated tokens per second", "generation_tps"),
            ("running requests", "running"),
            ("waiting requests", "waiting"),
            ("share of the KV cache", "kv_usage"),
        ):
            values = part[column].drop_nulls()
            if len(values):
                means = [values.mean(), values.min(), values.max()]
                rows.append([f"{engine} {surface}", name, *(float(v) for v in means if isinstance(v, int | float))])
    says = "As printed; a throughput covers the time since the line before it, idle time included."
    columns = ["source", "figure", "mean", "least", "greatest"]
    return Section("load", "Load", says, columns, rows, shares=["share of the KV cache"]) if rows else None


def _sources(sources: list[CounterSource], first: CounterSource | None) -> Section | None:
    if not sources:
        return None
    rows: list[list[Value]] = []
    for s in sources:
        c = s.counts
        if s.length is None and s.rate is None and c["drafted"] is None and c["drafts"] is None:
            continue
        counts = [whole(c[n]) for n in ("drafts", "drafted", "accepted", "emitted")]
        covers = f"{s.windows:,} x {s.basis}"
        rows.append([s.name, covers, *counts, s.length, s.rate, _beside(first, s)])
    if not rows:
        return None
    columns = [
        "source",
        "covers",
        "steps",
        "drafted",
        "accepted",
        "emitted",
        "tokens per drafting step",
        "rate",
        "beside the first",
    ]
    says, per_step = _agreement(sources, first), ["tokens per drafting step"]
    return Section("sources", "Sources side by side", says, columns, rows, shares=["rate"], per_step=per_step)


def _beside(first: CounterSource | None, other: CounterSource) -> str | None:
    if first is None:
        return None
    return beside(first, other) if other.engine == first.engine else "another engine"


def _agreement(sources: list[CounterSource], first: CounterSource | None) -> str:
    """Whether the sources of one engine count the same traffic, and what becomes of the emitted tokens."""
    told = ["Sources of one session overlap: they are compared, never added."]
    counted = [s for s in sources if s.counts["drafted"] is not None and s.counts["accepted"] is not None]
    for engine in dict.fromkeys(s.engine for s in counted):
        mine = [s for s in counted if s.engine == engine]
        pairs = {(round(s.counts["drafted"] or 0), round(s.counts["accepted"] or 0)) for s in mine}
        if len(mine) > 1 and len(pairs) == 1:
            drafted, accepted = next(iter(pairs))
            told.append(
                f"{engine}: all {len(mine)} that count agree on {accepted:,} accepted of {drafted:,} drafted tokens."
            )
        elif len(mine) > 1:
            told.append(f"{engine}: they do not count the same; the last column says why.")
    if first is not None and (from_steps := emitted(first, first.requests or None)) is not None:
        told.append(from_steps)
    return " ".join(told)


def _definitions(diagnosis: Diagnosis, source: CounterSource | None) -> Section | None:
    """Every engine's name and figure for the same counts."""
    counts = totals(source) if source is not None else _of_steps(diagnosis)
    if counts is None:
        return None
    rows: list[list[Value]] = [[d.tool, d.name, d.value, d.formula] for d in definitions(counts) if d.value is not None]
    says = "The same traffic in the words of every engine. S steps that drafted, V all steps, D drafted, A accepted tokens,"
    says += " E emitted tokens, k draft length, R requests; where E is not counted, steps without a draft are left out."
    return (
        Section(
            "definitions",
            "The same numbers by other tools' definitions",
            says,
            ["tool", "calls it", "value", "computed as"],
            rows,
        )
        if rows
        else None
    )


def _of_steps(diagnosis: Diagnosis) -> Totals | None:
    return diagnosis.totals


def _events(audit: Audit) -> Section | None:
    if not audit.events:
        return None
    rows: list[list[Value]] = [
        [e.engine, e.kind, e.what, e.value, e.path if e.line is None else f"{e.path}:{e.line}"]
        for e in audit.events[:60]
    ]
    says = f"{len(audit.events)} announcement{'s' if len(audit.events) > 1 else ''} of the engine."
    return Section("announced", "What the engine announced", says, ["engine", "kind", "what", "value", "where"], rows)
