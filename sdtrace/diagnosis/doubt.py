"""Causes that stand on an input in doubt: damaged, or with text that could be a user's. Nothing in it is proof."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

from sdtrace.counters.sources import CounterSource
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


def untrusted(source: CounterSource | None, inputs: Sequence[Input]) -> str | None:
    """Why the figures of a source are no evidence: sums of an input that it stands in are in doubt; None where none is."""
    doubts = {i.path: i.doubt for i in inputs if i.doubt is not None and i.doubt.figures}
    return next((doubts[path].why for path in source.paths if path in doubts), None) if source is not None else None


#: A cause that rests on one record of at least so many decisions is isolated: one flipped bit damages one record.
MANY = 50


def isolated(rows: Sequence[Cause], inputs: Sequence[Input], tested: int) -> list[Cause]:
    """The causes; one proved by a single record among many sound ones, in inputs without a checksum, is no more than suspected.

    A flipped bit on a disk or a wire writes such a record (a digit of p is another digit), and so does no fault of a
    sampler that anybody has reported: those come back. `tested`: decisions that were looked at.
    """
    unverified = {i.path for i in inputs if not i.verified and (i.steps or i.requests)}
    if tested < MANY or not unverified:
        return list(rows)
    return joined([_isolated(row, unverified, tested) for row in rows], ())


def _isolated(row: Cause, unverified: Set[str], tested: int) -> Cause:
    paths = {str(e["path"]) for e in row.evidence if e.get("path")}
    if row.certainty != "proved" or row.weight != 1 or not row.evidence or not paths <= unverified:
        return row
    why = f"not proved: {row.weight} of {tested:,} decisions, in a file without a checksum, where a flipped bit looks the same"
    return replace(row, certainty="suspected", beside=(*row.beside, why))


def _doubted(row: Cause, doubts: Mapping[str, Doubt], sound: bool) -> Cause:
    paths = {str(e["path"]) for e in row.evidence if e.get("path")}
    if row.certainty == "suspected" or (paths - doubts.keys() if paths else sound):
        return row
    mine = [doubt for path, doubt in doubts.items() if path in paths or not paths]
    if row.certainty != "proved" and not any(d.figures for d in mine):
        return row
    return replace(row, certainty="suspected", beside=(*row.beside, f"not proved: {mine[0].why}"))
