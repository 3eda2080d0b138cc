"""Causes that stand on an input in doubt: damaged, or with text that could be a user's. Nothing in it is proof."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sdtrace.readers.inputs import Input
from sdtrace.results.cause import Cause, joined
from sdtrace.schema.trace import Doubt


def doubted(rows: Sequence[Cause], inputs: Sequence[Input]) -> list[Cause]:
    """The causes, those without evidence from a sound input no more than suspected, with the reason."""
    doubts = {i.path: i.doubt for i in inputs if i.doubt is not None}
    if not doubts:
        return list(rows)
    sound = len(doubts) < len({i.path for i in inputs})
    return joined([_doubted(row, doubts, sound) for row in rows], ())


def _doubted(row: Cause, doubts: Mapping[str, Doubt], sound: bool) -> Cause:
    paths = {str(e["path"]) for e in row.evidence if e.get("path")}
    if row.certainty == "suspected" or (paths - doubts.keys() if paths else sound):
        return row
    mine = [doubt for path, doubt in doubts.items() if path in paths or not paths]
    if row.certainty != "proved" and not any(d.figures for d in mine):
        return row
    return replace(row, certainty="suspected", headline=f"{row.headline}; not proved: {mine[0].why}")
