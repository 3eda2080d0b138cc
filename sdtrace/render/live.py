"""A live engine as a line, or as a screen on a terminal."""

import time
from typing import TYPE_CHECKING

import polars as pl

from sdtrace.audit.live import BEFORE, NOW, Figures, Live, changes, figures
from sdtrace.render.text import clean

if TYPE_CHECKING:
    from rich.console import RenderableType


def line(live: Live) -> str:
    """One scrape for a log: figures of the last minute."""
    at = time.strftime("%H:%M:%S", time.gmtime(live.times[-1] if live.times else time.time()))
    if live.error or not live.scrapes:
        return f"{at}  {clean(live.error or 'nothing yet', 120)}"
    return f"{at}  " + ", ".join(f"{name} {value}" for name, value in _rows(figures(live.windows(_since(live)))))


def screen(live: Live) -> "RenderableType":
    """Figures of the last minute beside those of the minutes before, positions as bars, what changed."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    head = Text(f"{clean(live.url, 120)}  {len(live.scrapes)} scrapes", style="bold")
    if live.error or not live.scrapes:
        return Group(head, Text(clean(live.error or "nothing yet", 120), style="red"))
    now, before = figures(live.windows(_since(live))), figures(_earlier(live))
    table = Table(box=None, pad_edge=False)
    for name in ("", "last minute", "10 minutes before"):
        table.add_column(name, justify="left" if not name else "right")
    older = dict(_rows(before))
    for name, value in _rows(now):
        table.add_row(name, value, older.get(name, "-") if _earlier(live).height else "-")
    bars = [Text(f"position {j:<2} {p:6.1%} {'#' * round(40 * p)}") for j, p in enumerate(now.by_position[:16])]
    told = [Text(f"changed: {text}", style="yellow") for text in changes(now, before)]
    told += [
        Text(f"restarted: {time.strftime('%H:%M:%S', time.gmtime(at))} UTC", style="yellow")
        for at in live.restarts[-3:]
    ]
    return Group(head, table, *bars, *told)


def _since(live: Live) -> float:
    return live.times[-1] - NOW


def _earlier(live: Live) -> pl.DataFrame:
    windows = live.windows(live.times[-1] - NOW - BEFORE)
    return windows.filter(pl.col("at") <= live.times[-1] - NOW)


def _rows(f: Figures) -> list[tuple[str, str]]:
    told = [
        ("tokens per step", f.tokens_per_step, "{:.3f}"),
        ("accepted of drafted", f.rate, "{:.1%}"),
        ("tokens per second", f.tokens_per_second, "{:.1f}"),
        ("running", f.running, "{:.0f}"),
        ("waiting", f.waiting, "{:.0f}"),
        ("cache in use", f.kv_usage, "{:.0%}"),
    ]
    return [(name, form.format(value)) for name, value, form in told if value is not None]
