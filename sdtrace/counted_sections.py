"""Sections from counts: figures, by position, over time, sources side by side, every engine's definition, announcements."""

from typing import Any

import polars as pl

from sdtrace.audit import Audit
from sdtrace.counted import totals
from sdtrace.diagnose import Diagnosis
from sdtrace.results import Chart, Section, Value
from sdtrace.rosetta import Totals, definitions
from sdtrace.sources import Source
from sdtrace.speed.turns import turn

POINTS = 120


def counted_sections(audit: Audit, found: Diagnosis) -> list[Section]:
    """Everything that windows say; empty sections are left out."""
    source = found.figures_from
    made = [
        _figures(found.acceptance, source) if source is not None and found.acceptance is not None else None,
        _positions(source) if source is not None else None,
        _timeline(audit.windows, source) if source is not None else None,
        _load(audit.windows),
        _sources(found.sources),
        _definitions(found, source),
        _events(audit),
    ]
    return [s for s in made if s is not None]


def _figures(a: dict[str, Any], source: Source) -> Section:
    ends = {name: a["ci"][name] or [None, None] for name in ("tokens_per_step", "rate_of_drafted")}
    rows: list[list[Value]] = [
        ["tokens per step", a["tokens_per_step"], *ends["tokens_per_step"], "1 + accepted / steps that drafted"],
        ["acceptance, of drafted", a["rate_of_drafted"], *ends["rate_of_drafted"], "accepted / drafted"],
        ["steps that drafted", a["steps"], None, None, "request-steps"],
        ["drafted tokens", a["drafted"], None, None, ""],
        ["accepted tokens", a["accepted"], None, None, "without the bonus"],
        ["emitted tokens", source.counts["emitted"], None, None, ""],
    ]
    says = f"From {source.windows:,} {'record' if source.windows == 1 else 'records'} of {source.name}"
    says += f" ({', '.join(source.families)})." if source.families else "."
    columns = ["figure", "value", "low (95%)", "high (95%)", "definition"]
    return Section("acceptance", "Acceptance", says, columns, [r for r in rows if r[1] is not None])


def _positions(source: Source) -> Section | None:
    drafts = source.position_drafts
    if not drafts or not source.accepted_by_position:
        return None
    rates = [n / drafts for n in source.accepted_by_position[:64]]
    rows: list[list[Value]] = [
        [j, round(n, 1), r] for j, (n, r) in enumerate(zip(source.accepted_by_position, rates, strict=False))
    ]
    says = (
        f"{rates[0]:.0%} of the steps that drafted accept the first token, {rates[-1]:.0%} accept {len(rates)} or more."
    )
    chart = Chart(
        "bars", "position in the draft", "steps that accept it", [str(r[0]) for r in rows], {"marginal": list(rates)}
    )
    columns = ["position", "steps that accepted it", "of steps that drafted"]
    return Section("by-position", "Acceptance by position", says, columns, rows, chart)


def _timeline(windows: pl.DataFrame, source: Source) -> Section | None:
    """Windows of the source in time, pooled into at most POINTS intervals."""
    mine = windows.filter((pl.col("engine") == source.engine) & (pl.col("surface") == source.surface))
    if source.basis in ("lifetime", "counter"):
        return None
    timed = mine["at"].null_count() == 0 and mine["at"].n_unique() > 2
    place = pl.col("at") if timed else pl.int_range(pl.len()).cast(pl.Float64)
    mine = mine.with_columns(place=place).sort("place", maintain_order=True)
    if mine.height < 3:
        return None
    start, end = float(mine["place"][0]), float(mine["place"][-1])
    width = max((end - start) / POINTS, 1e-9)
    sums = mine.group_by(((pl.col("place") - start) / width).floor().clip(0, POINTS - 1).alias("bucket")).agg(
        pl.col("place").min(),
        pl.col("line").first(),
        known=pl.col("drafts").is_not_null().any(),
        drafts=pl.col("drafts").sum(),
        counted=pl.col("accepted").filter(pl.col("drafts").is_not_null()).sum(),
        accepted=pl.col("accepted").sum(),
        drafted=pl.col("drafted").sum(),
        length=pl.col("length").mean(),
        rate=pl.col("rate").mean(),
        n=pl.len(),
    )
    rows: list[list[Value]] = []
    for r in sums.sort("place").iter_rows(named=True):
        length = 1 + r["counted"] / r["drafts"] if r["drafts"] else r["length"]
        rate = r["accepted"] / r["drafted"] if r["drafted"] else r["rate"]
        rows.append([r["place"] - start, r["line"], r["n"], length, rate])
    series = [None if r[3] is None else float(r[3]) for r in rows]
    known = [v for v in series if v is not None]
    if not known:
        return None
    unit = "seconds from the first record" if timed else "record"
    says = f"Tokens per drafting step between {min(known):.2f} and {max(known):.2f} in {len(rows)} intervals."
    if (change := turn(series)) is not None:
        says += f" It changes most at {rows[change][0]:,.0f} (line {rows[change][1]}): {_means(series, change)}."
    chart = Chart("line", unit, "tokens per step", [f"{r[0]:g}" for r in rows], {"tokens per step": series})
    columns = [unit, "line", "records", "tokens per step", "accepted / drafted"]
    return Section("over-time", "Acceptance over time", says, columns, rows, chart)


def _means(series: list[float | None], cut: int) -> str:
    one, two = [v for v in series[:cut] if v is not None], [v for v in series[cut:] if v is not None]
    return f"{sum(one) / len(one):.2f} before, {sum(two) / len(two):.2f} after"


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
    return Section("load", "Load", says, columns, rows) if rows else None


def _sources(found: list[Source]) -> Section | None:
    if not found:
        return None
    rows: list[list[Value]] = []
    for s in found:
        c = s.counts
        if s.length is None and s.rate is None and c["drafted"] is None and c["drafts"] is None:
            continue
        rows.append(
            [s.name, s.basis, s.windows, c["drafts"], c["drafted"], c["accepted"], c["emitted"], s.length, s.rate]
        )
    if not rows:
        return None
    columns = [
        "source",
        "covers",
        "records",
        "steps",
        "drafted",
        "accepted",
        "emitted",
        "tokens per step",
        "accepted / drafted",
    ]
    return Section("sources", "Sources side by side", _agreement(found), columns, rows)


def _agreement(found: list[Source]) -> str:
    """Whether the sources of one engine count the same traffic."""
    counted = [s for s in found if s.counts["drafted"] is not None and s.counts["accepted"] is not None]
    engines = {s.engine for s in counted}
    told = []
    for engine in sorted(engines):
        mine = [s for s in counted if s.engine == engine]
        if len(mine) < 2:
            continue
        pairs = {(round(s.counts["drafted"] or 0), round(s.counts["accepted"] or 0)) for s in mine}
        names = ", ".join(s.surface for s in mine)
        if len(pairs) == 1:
            drafted, accepted = next(iter(pairs))
            told.append(f"{engine}: {names} agree on {drafted:,} drafted and {accepted:,} accepted tokens")
        else:
            told.append(f"{engine}: {names} do not count the same; they cover other stretches, or one of them is wrong")
    return "; ".join(told) + "." if told else "Sources of one session overlap: they are compared, never added."


def _definitions(found: Diagnosis, source: Source | None) -> Section | None:
    """Every engine's name and figure for the same counts."""
    counts = totals(source) if source is not None else _of_steps(found)
    if counts is None:
        return None
    rows: list[list[Value]] = [[d.tool, d.name, d.value, d.formula] for d in definitions(counts) if d.value is not None]
    says = "The same traffic in the words of every engine. S steps that drafted, D drafted, A accepted, E emitted, k draft length."
    return (
        Section("definitions", "In other engines' words", says, ["tool", "calls it", "value", "computed as"], rows)
        if rows
        else None
    )


def _of_steps(found: Diagnosis) -> Totals | None:
    return found.totals


def _events(audit: Audit) -> Section | None:
    if not audit.events:
        return None
    rows: list[list[Value]] = [
        [e.engine, e.kind, e.what, e.value, e.path if e.line is None else f"{e.path}:{e.line}"]
        for e in audit.events[:60]
    ]
    says = f"{len(audit.events)} announcement{'s' if len(audit.events) > 1 else ''} of the engine."
    return Section("announced", "What the engine announced", says, ["engine", "kind", "what", "value", "where"], rows)
