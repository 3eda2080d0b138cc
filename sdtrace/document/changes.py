"""The section of changes: what changed, when, from what to what, and where to look."""

from collections.abc import Sequence

from sdtrace.counters.changes import Change
from sdtrace.results.clock import clock
from sdtrace.results.report import Section, Value

_SHOWN = 40
_UNITS = {
    "acceptance": "acceptance (accepted / drafted)",
    "tokens_per_step": "tokens per step",
    "step_time": "step time (ms)",
    "throughput": "generated tokens per second",
    "load": "running requests",
    "draft_length": "drafted tokens per step",
}


def changes_section(changes: Sequence[Change]) -> Section | None:
    """A row a change, the figures first where there are too many; None where nothing changed."""
    if not changes:
        return None
    figures = [c for c in changes if c.what in _UNITS]
    kept = [*figures, *(c for c in changes if c.what not in _UNITS)][:_SHOWN]
    rows: list[list[Value]] = [
        [_when(c), c.series, c.says or _UNITS.get(c.what, c.what), c.before, c.after, c.where]
        for c in sorted(kept, key=changes.index)
    ]
    says = f"{len(figures)} {'figure' if len(figures) == 1 else 'figures'} changed and stayed changed"
    says += f", {len(changes) - len(figures)} events beside them." if len(changes) > len(figures) else "."
    return Section(
        "moments", "What changed, and when", says, ["when", "series", "what", "before", "after", "where"], rows
    )


def _when(change: Change) -> str:
    begun = clock(change.at, change.line)
    return begun if change.until is None else f"{begun} to {clock(change.until)}"
