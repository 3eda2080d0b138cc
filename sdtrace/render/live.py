"""A live engine as a line, or as a screen on a terminal."""

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from sdtrace.audit.live import BEFORE, NOW, Figures, Live, by_series, changes, figures
from sdtrace.render.sparks import spark
from sdtrace.render.text import clean
from sdtrace.results.numbers import per_step

if TYPE_CHECKING:
    from rich.console import RenderableType

#: Cells of a history, at most, and what a screen leaves to it: names take 24 columns, figures 11 and 17, two blanks between them.
CELLS, BESIDE = 40, 24 + 11 + 17 + 3 * 2


def line(live: Live) -> str:
    """One scrape for a log: figures of the last minute."""
    at = _clock(time.time() if live.error or not live.times else live.times[-1])
    if live.error or not live.scrapes:
        return f"{at}  {clean(live.error or 'nothing yet', 120)}"
    return f"{at}  " + ", ".join(f"{name} {value}" for name, value in _rows(figures(live.windows(_since(live)))))


def screen(live: Live, width: int) -> "RenderableType":
    """Figures of the last minute beside those of the minutes before and their history, engines apart, positions as bars, what changed.

    `width` is that of the terminal, in columns. Trouble with the connection stands on top; what was seen before it stays.
    """
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    head = Text(f"{clean(live.url, 120)}  {len(live.scrapes)} scrapes", style="bold")
    trouble = [Text(clean(live.error, 120), style="red")] if live.error else []
    if not live.scrapes:
        return Group(head, *(trouble or [Text("nothing yet")]))
    now, before = figures(live.windows(_since(live))), figures(_earlier(live))
    table = Table(box=None, pad_edge=False)
    for name in ("", "last minute", "10 minutes before", f"since {_clock(live.times[0])}"):
        table.add_column(name, justify="left" if not name or name.startswith("since") else "right", no_wrap=not name)
    # as many cells as the screen has left: what is cut from a line is its end, which is now
    cells = max(min(CELLS, width - BESIDE), 8)
    older, drawn = dict(_rows(before)), _history(live.history[1:], cells)
    for name, value in _rows(now):
        table.add_row(name, value, older.get(name, "-") if _earlier(live).height else "-", drawn.get(name, ""))
    bars = [Text(f"position {j:<2} {p:6.1%} {'#' * round(40 * p)}") for j, p in enumerate(now.by_position[:16])]
    told = [Text(f"changed: {text}", style="yellow") for text in changes(now, before)]
    told += [Text(f"restarted: {_clock(at)} UTC", style="yellow") for at in live.restarts[-3:]]
    return Group(head, *trouble, table, *_series(live), *bars, *told)


def _history(points: Sequence[Figures], cells: int) -> dict[str, str]:
    """Sparklines by the name of a figure."""
    plain = not (getattr(sys.stdout, "encoding", None) or "").lower().startswith("utf")
    return {name: spark([getattr(p, field) for p in points], cells, plain=plain) for name, field, _ in _FIGURES}


def _series(live: Live) -> "Sequence[RenderableType]":
    """The last minute of each engine or rank, where there are several."""
    from rich.table import Table

    found = by_series(live.windows(_since(live)))
    if not found:
        return []
    table = Table(box=None, pad_edge=False)
    for name in ("series", "tokens per drafting step", "accepted of drafted", "tokens per second"):
        table.add_column(name, justify="left" if name == "series" else "right")
    for name, f in found.items():
        told = dict(_rows(f))
        shown = [
            told.get(column, "-") for column in ("tokens per drafting step", "accepted of drafted", "tokens per second")
        ]
        table.add_row(clean(name, 60), *shown)
    return [table]


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(at))


def _since(live: Live) -> float:
    return live.times[-1] - NOW


def _earlier(live: Live) -> pl.DataFrame:
    windows = live.windows(live.times[-1] - NOW - BEFORE)
    return windows.filter(pl.col("at") <= live.times[-1] - NOW)


_FIGURES = (
    ("tokens per drafting step", "tokens_per_step", per_step),
    ("accepted of drafted", "rate", "{:.1%}".format),
    ("tokens per second", "tokens_per_second", "{:.1f}".format),
    ("running", "running", "{:.0f}".format),
    ("waiting", "waiting", "{:.0f}".format),
    ("cache in use", "kv_usage", "{:.0%}".format),
)


def _rows(f: Figures) -> list[tuple[str, str]]:
    told = [(name, getattr(f, field), form) for name, field, form in _FIGURES]
    return [(name, form(value)) for name, value, form in told if value is not None]
