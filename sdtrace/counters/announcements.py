"""What engines announce, held against the windows that follow.

One rule for every announcement: it stands as long as no window behind it, up to the next start of the engine, shows what
cannot be if it were so. "Disabled" beside drafted tokens accuses nobody; a drafter that "does not fit" beside half of its
tokens accepted neither. What no count can contradict (a lossy rule, graphs that were not captured) stands as it is said.
"""

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from sdtrace.readers.logs.announcements import BY_KEY
from sdtrace.schema.trace import DRAFT_MODEL, METHOD, Event

_PLACE = {"first_path": pl.String(), "first_line": pl.Int64(), "run_id": pl.String(), "request_id": pl.String()}
TOLD = _PLACE | {"found": pl.Boolean(), "what": pl.String()}
#: Kinds that say why speculation does nothing.
_REASONS = ("inert", "off", "fallback", "died")
#: Requests or intervals with tokens, from which on it is odd that nothing is drafted; tokens a second below which one is idle.
BUSY, IDLE_TPS = 5, 1.0
#: Share of drafted tokens above which a drafter fits its target, and drafted tokens that tell it.
FITS, ENOUGH = 0.5, 200
_PREFILL = "prefill"


def _drafts(behind: pl.DataFrame) -> bool:
    return behind.filter((pl.col("drafted") > 0) | (pl.col("drafts") > 0) | (pl.col("length") > 1.0)).height > 0


def _figures(behind: pl.DataFrame) -> bool:
    return behind.filter(pl.col("length").is_not_null() | pl.col("rate").is_not_null()).height > 0


def _fits(behind: pl.DataFrame) -> bool:
    known = behind.filter(pl.col("drafted").is_not_null() & pl.col("accepted").is_not_null())
    drafted, accepted = float(known["drafted"].sum()), float(known["accepted"].sum())
    return drafted >= ENOUGH and accepted >= FITS * drafted


#: kind, or cause, of an announcement -> what windows behind it show where it is not so
_AGAINST: dict[str, Callable[[pl.DataFrame], bool]] = {
    "off": _drafts,
    "inert": _drafts,
    "speculation-off": _drafts,
    "silent": _figures,
    "low-acceptance": _fits,
    "drafter-miswired": _fits,
    "tau-too-large": _fits,
}


def standing(events: Sequence[Event], windows: pl.DataFrame) -> list[Event]:
    """Announcements that no window behind them contradicts."""
    return [event for event in events if not _contradicted(event, events, windows)]


def _contradicted(event: Event, events: Sequence[Event], windows: pl.DataFrame) -> bool:
    cause = BY_KEY[event.key].cause if event.key in BY_KEY else event.kind
    against = _AGAINST.get(cause)
    return against is not None and against(_behind(event, events, windows))


def _behind(event: Event, events: Sequence[Event], windows: pl.DataFrame) -> pl.DataFrame:
    """Windows that follow an announcement in its input, up to the engine's next start; of an input without windows those of
    the engine's other inputs."""
    mine = windows.filter(pl.col("path") == event.path)
    if mine.is_empty():
        return windows.filter(pl.col("engine") == event.engine)
    line = event.line or 0
    again = (e.line for e in events if e.kind == "version" and e.path == event.path and e.line is not None)
    end = min((n for n in again if n > line and _later(event, n, mine)), default=None)
    behind = mine.filter(pl.col("line") > line)
    return behind if end is None else behind.filter(pl.col("line") < end)


def _later(event: Event, line: int, mine: pl.DataFrame) -> bool:
    """Whether a start is a later one: windows stand between the announcement and it."""
    return mine.filter(pl.col("line").is_between(event.line or 0, line)).height > 0


def told(windows: pl.DataFrame, stands: Sequence[Event], kind: str) -> pl.DataFrame:
    """One row an input that was listened to: whether it announces something of the kind, and where."""
    first: dict[str, Event] = {}
    for event in stands:
        if event.kind == kind:
            first.setdefault(event.path, event)
    rows: list[dict[str, Any]] = []
    for path in _paths(windows, stands):
        known = first.get(path)
        rows.append({"first_path": path, "first_line": known.line if known else None, "found": known is not None})
        rows[-1]["what"] = known.what if known else None
    return pl.DataFrame(rows, schema=TOLD)


def accusations(windows: pl.DataFrame, stands: Sequence[Event]) -> pl.DataFrame:
    """One row an accusation that stands; one without, where an input has none."""
    rows: list[dict[str, Any]] = []
    for path in _paths(windows, stands):
        mine = [e for e in stands if e.kind == "accusation" and e.path == path]
        rows += [{"first_path": path, "first_line": e.line, "found": True, "what": e.what} for e in mine]
        rows += [] if mine else [{"first_path": path, "found": False}]
    return pl.DataFrame(rows, schema=TOLD)


def off(windows: pl.DataFrame, stands: Sequence[Event]) -> pl.DataFrame:
    """One row an input: speculation was switched off, or is configured while tokens come and nothing is drafted.

    A prefill node drafts nothing by design. That nothing was started counts only where something was asked for.
    """
    rows = []
    for row in told(windows, stands, "off").iter_rows(named=True):
        mine = [e for e in stands if e.path == row["first_path"]]
        config = next((e for e in mine if e.kind == "config"), None)
        if any(e.kind == "role" and e.value == _PREFILL for e in mine):
            row |= {"found": False, "first_line": None, "what": None}
        elif not row["found"] and config is not None and _does_nothing(windows, config, mine):
            reason = next((e for e in mine if e.kind in _REASONS), None)
            row |= {"found": True, "first_line": (reason or config).line, "what": _why(config, reason)}
        rows.append(row)
    return pl.DataFrame(rows, schema=TOLD)


def _does_nothing(windows: pl.DataFrame, config: Event, mine: Sequence[Event]) -> bool:
    part = windows.filter(pl.col("path") == config.path)
    busy = part.filter((pl.col("generation_tps") >= IDLE_TPS) | (pl.col("emitted") > 0)).height
    drafted = part.filter((pl.col("drafted") > 0) | pl.col("length").is_not_null()).height
    enough = BUSY if not any(e.kind == "inert" for e in mine) else 1
    return busy >= enough and not drafted


def _why(config: Event, reason: Event | None) -> str:
    says = "speculation is configured but no tokens are drafted"
    if reason is None:
        return says
    says += f" ({reason.path}:{reason.line}: {reason.what})"
    if reason.kind == "inert" and config.settings.get(METHOD) == DRAFT_MODEL:
        says += "; a draft model alone starts nothing, name an implementation too (--spec-type draft-simple)"
    return says


def _paths(windows: pl.DataFrame, events: Sequence[Event]) -> list[str]:
    paths = [*windows["path"].unique(maintain_order=True).to_list(), *(e.path for e in events)]
    return list(dict.fromkeys(paths))
