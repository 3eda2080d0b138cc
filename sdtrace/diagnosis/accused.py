"""Causes that engines announce of themselves: one a cause, with every line that says it, its advice and its certainty."""

from collections.abc import Sequence

import polars as pl

from sdtrace.counters.announcements import standing
from sdtrace.readers.logs.announcements import BY_KEY
from sdtrace.results.cause import Cause
from sdtrace.results.cause_words import WORDS
from sdtrace.results.words import CERTAINTIES
from sdtrace.schema.trace import Event

#: Whom these causes blame where the engine itself says it; the table's word for all others.
_BLAME = {"synthetic-acceptance": "config", "lenient-acceptance": "config"}


def accused(events: Sequence[Event], windows: pl.DataFrame) -> list[Cause]:
    """Causes of the accusations that stand against the windows behind them."""
    if not any(e.kind == "accusation" for e in events):
        return []
    by_cause: dict[str, list[Event]] = {}
    for event in standing(events, windows):
        if event.key in BY_KEY:
            by_cause.setdefault(BY_KEY[event.key].cause, []).append(event)
    return [_cause(cause, mine) for cause, mine in by_cause.items()]


def _cause(cause: str, mine: Sequence[Event]) -> Cause:
    rows = [(event, BY_KEY[event.key]) for event in mine if event.key is not None]
    rows.sort(key=lambda pair: CERTAINTIES.index(pair[1].certainty))
    first, row = rows[0]
    where = first.path if first.line is None else f"{first.path}:{first.line}"
    more = f", and {len(rows) - 1} more lines" if len(rows) > 2 else ", and one more line" if len(rows) == 2 else ""
    evidence = tuple({"path": e.path, "line": e.line, "what": e.what} for e, _ in rows[:8])
    words = WORDS[cause]
    blame = _BLAME.get(cause, words.blame)
    headline = f"{row.says}: the engine says so itself ({where}{more})"
    return Cause(cause, words.side, row.certainty, ("SD425",), headline, evidence, row.advice, blame, len(rows))
