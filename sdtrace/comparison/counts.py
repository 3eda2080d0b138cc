"""The comparison where a side has only counts: acceptance in one definition, and what its records say about their spread."""

from typing import Any

import numpy as np
import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.comparison.metrics import Metric, relative
from sdtrace.comparison.speed import compared
from sdtrace.counters.agreement import SAME
from sdtrace.counters.sources import with_least
from sdtrace.diagnosis.diagnose import Diagnosis
from sdtrace.schema.arrays import Floats
from sdtrace.stats.jackknife import GROUPS, jackknife, summed


def counted_metrics(
    base: tuple[Audit, Diagnosis], candidate: tuple[Audit, Diagnosis], margin: float
) -> tuple[list[Metric], list[str]]:
    """Speed at the same load, tokens per drafting step and acceptance of drafted tokens, whatever each engine calls them;
    throughput as printed. And what was in the way of comparing speed."""
    sides = [_table(*side) for side in (base, candidate)]
    found = [
        _metric("tokens_per_step", [_held(rows, 0) for rows in sides], lambda s: 1 + s[..., 1] / s[..., 0]),
        _metric("accepted_of_drafted", [_held(rows, 2) for rows in sides], lambda s: s[..., 1] / s[..., 2]),
    ]
    printed = [_printed(side[0]) for side in (base, candidate)]
    if any(value is not None for value in printed):
        found.append(Metric("generated_tokens_per_second", printed[0], printed[1], None, True))
    means = [side[1].acceptance if side[1].timing is None else None for side in (base, candidate)]
    speed = compared(base[1].speeds, candidate[1].speeds, margin)
    return [*speed.metrics, *(_or_mean(one, means) for one in found)], speed.notes


def _table(audit: Audit, diagnosis: Diagnosis) -> Floats:
    """Rows of (drafting steps, accepted, drafted): by request where there are steps, by record of the source otherwise."""
    if diagnosis.timing is not None:
        rows = (
            diagnosis.timing.places.group_by("hash", maintain_order=True)
            .agg(pl.col("drafting", "accepted", "drafted").sum())
            .sort("hash")
        )
        return rows.select("drafting", "accepted", "drafted").to_numpy()
    source = diagnosis.figures_from
    if source is None or source.basis in ("lifetime", "counter", "gauge"):
        counts = source.counts if source is not None else {}
        row = [counts.get(name) for name in ("drafts", "accepted", "drafted")]
        return np.array([[np.nan if x is None else x for x in row]], dtype=np.float64)
    mine = audit.windows.filter((pl.col("engine") == source.engine) & (pl.col("surface") == source.surface))
    # as the report counts them: a window in which nothing was accepted tells its steps at least
    return with_least(mine).select(pl.col("drafts", "accepted", "drafted").cast(pl.Float64)).to_numpy()


def _held(rows: Floats, below: int) -> Floats:
    """The rows that hold both sides of a ratio: accepted tokens, and what they are divided by."""
    held: Floats = rows[np.isfinite(rows[:, 1]) & np.isfinite(rows[:, below])]
    return held


def _metric(name: str, sides: list[Floats], figure: Any) -> Metric:
    with np.errstate(all="ignore"):
        values = [float(figure(rows.sum(axis=0))) if len(rows) else float("nan") for rows in sides]
    base, candidate = (value if np.isfinite(value) else None for value in values)
    if not base or not candidate or min(len(rows) for rows in sides) < 2:
        return Metric(name, base, candidate, None, False)
    by = [
        summed(np.arange(len(rows)) % (GROUPS // 2) + i * (GROUPS // 2), rows, GROUPS) for i, rows in enumerate(sides)
    ]
    change = jackknife(
        np.concatenate(by, axis=1),
        lambda s: np.log(figure(s[..., 3:]) / figure(s[..., :3]))[..., None],
        freedom=min(len(rows) for rows in sides) - 1,
    )[0]
    return Metric(name, base, candidate, relative(change), False)


def _printed(audit: Audit) -> float | None:
    values = audit.windows["generation_tps"].drop_nulls()
    values = values.filter(values > 0)
    return float(values.to_numpy().mean()) if len(values) else None


def _or_mean(one: Metric, means: list[Any]) -> Metric:
    """Where a side prints means without counts, its plain mean stands in, without an interval; so does the figure of a side's
    own report where its records alone give another one."""
    key = {"tokens_per_step": "tokens_per_step", "accepted_of_drafted": "rate_of_drafted"}.get(one.name)
    if key is None:
        return one
    told = [mean[key] if mean else None for mean in means]
    sides = (one.base, one.candidate)
    apart = any(a is not None and b is not None and abs(a - b) > SAME * b for a, b in zip(sides, told, strict=True))
    if one.change is not None and not apart:
        return one
    base, candidate = (b if a is None or (apart and b is not None) else a for a, b in zip(sides, told, strict=True))
    return Metric(one.name, base, candidate, None, one.timed)
