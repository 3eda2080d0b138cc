"""Tables that checks of counters read: windows, pairs of sources, announcements, stretches of pinned acceptance."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import polars as pl

from sdtrace.counters.announcements import TOLD, accusations, off, standing, told
from sdtrace.counters.definitions import Totals, definitions
from sdtrace.counters.downsample import named
from sdtrace.counters.sources import CounterSource
from sdtrace.counters.steps import drafting
from sdtrace.results.numbers import per_step
from sdtrace.schema.trace import Event

#: Two counts of the same traffic differ by less than this share.
SAME = 0.005

_PLACE = {"first_path": pl.String(), "first_line": pl.Int64(), "run_id": pl.String(), "request_id": pl.String()}
_PAIR = _PLACE | {
    "engine": pl.String(),
    "one": pl.String(),
    "other": pl.String(),
    "same": pl.Boolean(),
    "drafted": pl.Float64(),
    "accepted_one": pl.Float64(),
    "accepted_other": pl.Float64(),
    "replayed": pl.Boolean(),
    "said_one": pl.Float64(),
    "said_other": pl.Float64(),
    "conversion": pl.String(),
}
_STRETCH = _PLACE | {
    "engine": pl.String(),
    "windows": pl.Int64(),
    "high": pl.Int64(),
    "zero": pl.Int64(),
    "zero_drafted": pl.Float64(),
    "high_drafted": pl.Float64(),
}
_ENGINE = _PLACE | {
    "engine": pl.String(),
    "surface": pl.String(),
    "drafted": pl.Float64(),
    "accepted": pl.Float64(),
    "tokens_per_step": pl.Float64(),
    "what": pl.String(),
}
#: What is said where nothing counts and nothing is announced.
_NOTHING = {
    **{
        name: pl.DataFrame(schema=columns)
        for name, columns in (("pairs", _PAIR), ("engines", _ENGINE), ("stretches", _STRETCH))
    },
    **{name: pl.DataFrame(schema=TOLD) for name in ("off", "accusations", "synthetic", "lossy", "silent")},
}
#: A position that fewer of the drafting steps accept gives less than it costs.
RARE = 0.1


def tables(windows: pl.DataFrame, sources: Sequence[CounterSource], events: Sequence[Event]) -> dict[str, pl.DataFrame]:
    """Every table by the name that checks use."""
    if windows.is_empty() and not (sources or events):  # of a trace
        return {"windows": named(windows), **_NOTHING}
    stands = standing(events, windows)
    return {
        "windows": named(windows),
        "pairs": _pairs(windows, sources, events),
        "engines": _engines(windows, sources),
        "stretches": _stretches(windows),
        "off": off(windows, stands),
        "accusations": accusations(windows, stands),
        **{kind: told(windows, stands, kind) for kind in ("synthetic", "lossy", "silent")},
    }


def _pairs(windows: pl.DataFrame, sources: Sequence[CounterSource], events: Sequence[Event]) -> pl.DataFrame:
    """Two sources of one engine that both count drafted and accepted tokens."""
    replays = {e.engine for e in events if e.kind == "replay"}
    said = _said(windows)
    counted = [s for s in sources if s.counts["drafted"] is not None and s.counts["accepted"] is not None]
    rows = []
    for one, other in combinations(counted, 2):
        if one.engine != other.engine:
            continue
        a, b = one.counts["drafted"] or 0.0, other.counts["drafted"] or 0.0
        line = windows.filter((pl.col("engine") == other.engine) & (pl.col("surface") == other.surface))["line"].max()
        rows.append(
            {
                "first_path": other.paths[0],
                "first_line": line,
                "engine": one.engine,
                "one": f"{one.surface} ({one.basis})",
                "other": f"{other.surface} ({other.basis})",
                "same": max(a, b) > 0 and abs(a - b) <= SAME * max(a, b),
                "drafted": b,
                "accepted_one": one.counts["accepted"],
                "accepted_other": other.counts["accepted"],
                "replayed": one.engine in replays,
                "said_one": said.get((one.engine, one.surface)),
                "said_other": said.get((other.engine, other.surface)),
                "conversion": _conversion(one, other, said),
            }
        )
    return pl.DataFrame(rows, schema=_PAIR)


def _conversion(one: CounterSource, other: CounterSource, said: Mapping[tuple[str, str], float]) -> str | None:
    """Which definition each of two printed lengths follows; None where one of them follows none."""
    told = []
    for s in (one, other):
        length = said.get((s.engine, s.surface))
        c = s.counts
        drafts, accepted, emitted = (_either(one, other, n) for n in ("drafts", "accepted", "emitted"))
        known = definitions(Totals(drafts, c["drafted"], accepted, emitted, s.k, c["steps"]))
        of = next((d for d in known if d.value and length and abs(d.value - length) < 0.006 + 0.005 * length), None)
        if of is None or length is None:
            return None
        told.append(f"{s.surface} prints {per_step(length)}, which is {of.formula}")
    return "; ".join(told) + " (S steps that drafted, V all steps, A accepted, E emitted tokens)"


def _either(one: CounterSource, other: CounterSource, name: str) -> float | None:
    return one.counts[name] if one.counts[name] is not None else other.counts[name]


def _engines(windows: pl.DataFrame, sources: Sequence[CounterSource]) -> pl.DataFrame:
    """One row an engine: its best source that counts drafted and accepted tokens, and where its positions run dry."""
    best: dict[str, CounterSource] = {}
    for s in sources:
        if s.counts["drafted"] is not None and s.counts["accepted"] is not None:
            best.setdefault(s.engine, s)
    rows = []
    for s in best.values():
        mine = windows.filter((pl.col("engine") == s.engine) & (pl.col("surface") == s.surface))
        rates = [n / s.position_drafts for n in s.accepted_by_position] if s.position_drafts else []
        rare = next((j for j, r in enumerate(rates) if r < RARE), None)
        what = (
            None
            if rare is None
            else f"position {rare} and later are accepted in {rates[rare]:.1%} of the drafting steps"
        )
        place = {"first_path": s.paths[0], "first_line": mine["line"].min(), "engine": s.engine, "surface": s.surface}
        figures = {"drafted": s.counts["drafted"], "accepted": s.counts["accepted"], "tokens_per_step": s.length}
        rows.append(place | figures | {"what": what})
    return pl.DataFrame(rows, schema=_ENGINE)


def _said(windows: pl.DataFrame) -> dict[tuple[str, str], float]:
    """Mean printed length of a surface, weighted by the steps that it speaks of."""
    known = windows.filter(pl.col("said_length").is_not_null() & (pl.col("drafts") > 0))
    means = known.group_by("engine", "surface", maintain_order=True).agg(
        mean=(pl.col("said_length") * pl.col("drafts")).sum() / pl.col("drafts").sum()
    )
    return {(engine, surface): mean for engine, surface, mean in means.rows()}


def _stretches(windows: pl.DataFrame) -> pl.DataFrame:
    """Longest stretches of windows that accept everything, and nothing, by series."""
    basis = pl.col("basis").is_in(["interval", "request"])
    telling = windows.filter(basis & (pl.col("rate").is_not_null() | pl.col("length").is_not_null()))
    telling = telling.filter((pl.col("drafted") > 0) | pl.col("drafted").is_null())
    telling = telling.filter(drafting())
    full = pl.col("rate").ge(0.9995) | (pl.col("length") >= pl.col("k") + 0.995)
    none = (pl.col("accepted") == 0) | (pl.col("accepted").is_null() & (pl.col("length") <= 1.0))
    telling = telling.with_columns(full=full.fill_null(value=False), none=none.fill_null(value=False))
    rows = []
    for (path, engine, _, _), part in telling.group_by("path", "engine", "surface", "series", maintain_order=True):
        high, at_high, held = _longest(part, "full")
        zero, at_zero, drafted = _longest(part, "none")
        place = {"first_path": path, "first_line": at_high if high > zero else at_zero, "engine": engine}
        counts = {"windows": part.height, "high": high, "zero": zero, "zero_drafted": drafted, "high_drafted": held}
        rows.append(place | counts)
    return pl.DataFrame(rows, schema=_STRETCH)


def _longest(part: pl.DataFrame, flag: str) -> tuple[int, int | None, float]:
    """Windows of the longest stretch where the flag holds, the line where it begins, tokens drafted in it."""
    best: tuple[int, int | None, float] = (0, None, 0.0)
    run, begin, drafted = 0, None, 0.0
    for holds, line, tokens in part.select(flag, "line", "drafted").iter_rows():
        if not holds:
            run, begin, drafted = 0, None, 0.0
            continue
        begin = line if run == 0 else begin
        run, drafted = run + 1, drafted + (tokens or 0.0)
        if run > best[0]:
            best = run, begin, drafted
    return best
