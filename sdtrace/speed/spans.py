"""The time ledger of a profile: windows of one step each, with the time that spans of its parts cover."""

from typing import Any

import orjson
import polars as pl

from sdtrace.results.numbers import ms
from sdtrace.results.report import Chart, Section, Value
from sdtrace.speed.ledger import Ledger, exposed

_PARTS = ("draft", "verify", "sample")
_ABSENT = (
    "baseline_ms", "baseline_basis", "speedup", "speedup_low", "speedup_high", "break_even_tokens_per_step", "bottleneck",
    "gain_if_removed",
)  # fmt: skip


def spans_ledger(windows: pl.DataFrame) -> Ledger | None:
    """Means over the steps of a profile; None where the input holds none. A part is None where no span of it was seen."""
    mine = _mine(windows)
    if mine.is_empty():
        return None
    steps, told = float(mine.height), _said(mine)
    parts = {
        name: None if mine[f"{name}_ms"].null_count() == steps else _sum(mine[f"{name}_ms"]) / steps for name in _PARTS
    }
    step = _sum(mine["busy_ms"]) / steps
    return exposed(steps, step, parts, sum(row.get("hidden_ms", 0.0) for row in told) / steps)


def spans_time(windows: pl.DataFrame) -> dict[str, Any] | None:
    """The `time` of the document. Spans tell where a step goes, and not what a plain one would take."""
    spent, told = spans_ledger(windows), _said(_mine(windows))
    if spent is None:
        return None
    graph, device = _graph(told), [row["device_ms"] for row in told if "device_ms" in row]
    return {
        "step_ms": spent.step,
        **{f"{name}_ms": part for name, part in spent.parts.items()},
        "unattributed_ms": spent.unattributed,
        **dict.fromkeys(_ABSENT),
        "hidden_ms": spent.hidden,
        "source": "profiler spans",
        "steps": round(spent.steps),
        "graph_share": graph,
        "device_ms": sum(device) / len(told) if device else None,
    }


def spans_section(windows: pl.DataFrame) -> Section | None:
    """The ledger as a table: means, and the slowest step of each part."""
    spent = spans_ledger(windows)
    if spent is None:
        return None
    mine = _mine(windows)
    rows: list[list[Value]] = []
    for name, part in spent.parts.items():
        column = mine[f"{name}_ms"].drop_nulls()
        if part is not None:
            rows.append([name, part, part / spent.step, *(_quantile(column, q) for q in (0.5, 0.95, 1.0))])
    rows.append(["unattributed", spent.unattributed, spent.unattributed / spent.step, None, None, None])
    whole = mine["busy_ms"]
    rows.append(["step", spent.step, 1.0, *(_quantile(whole, q) for q in (0.5, 0.95, 1.0))])
    says = f"A{in_words(spent)[1:]}, over {round(spent.steps):,} steps of a profile."
    if spent.hidden > 0.005 * spent.step:
        says += f" Another {ms(spent.hidden)} of parts ran beside others and cost no time."
    graph = _graph(_said(mine))
    if graph is not None:
        says += f" {graph:.0%} of the steps replay a captured graph."
    shown = rows[:-1]
    chart = Chart(
        "stack", "part of the step", "ms", [str(r[0]) for r in shown], {"ms": [float(r[1] or 0) for r in shown]}
    )
    columns = ["part", "ms", "share of the step", "median ms", "95% ms", "longest ms"]
    return Section("time", "Where a step's time goes", says, columns, rows, chart, columns[2:3])


def in_words(spent: Ledger) -> str:
    """`a step takes 41 ms: draft 40%, verify 52%, unattributed 8%`."""
    parts = {name: part for name, part in spent.parts.items() if part is not None} | {
        "unattributed": spent.unattributed
    }
    return f"a step takes {ms(spent.step)}: " + ", ".join(
        f"{name} {part / spent.step:.0%}" for name, part in parts.items()
    )


def _mine(windows: pl.DataFrame) -> pl.DataFrame:
    if windows.is_empty():
        return windows
    return windows.filter((pl.col("surface") == "profiler spans") & (pl.col("busy_ms") > 0))


def _said(mine: pl.DataFrame) -> list[dict[str, Any]]:
    return [orjson.loads(text) for text in mine["said"].drop_nulls().to_list()]


def _graph(rows: list[dict[str, Any]]) -> float | None:
    seen = [bool(row["graph"]) for row in rows if "graph" in row]
    return sum(seen) / len(seen) if seen else None


def _sum(column: pl.Series) -> float:
    return float(column.sum())


def _quantile(column: pl.Series, q: float) -> float | None:
    found = column.quantile(q, "nearest")
    return None if found is None else float(found)
