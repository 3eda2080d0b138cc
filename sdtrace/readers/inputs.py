"""What was read of one input: records by table, and what became of every other line."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sdtrace.errors import NoInputError
from sdtrace.readers.guard import failed
from sdtrace.schema.trace import Batch, Doubt, Loss, Notice

#: Losses of an input that are kept one by one, and kinds of those that come after them.
ONE_BY_ONE, KINDS = 2_000, 20
#: Engines of one input that are named.
_ENGINES = 8
_REST = "further ones of other kinds"
_FURTHER = {"repeated": "further steps under a key that was there before", "unreadable": "further damage of the file"}

Told = TypeVar("Told", Loss, Notice)


@dataclass
class Input:
    """What one input held: lines, records by table, and what became of the rest."""

    path: str
    format: str
    engine: str | None
    lines: int = 0
    runs: int = 0
    requests: int = 0
    steps: int = 0
    windows: int = 0
    records: int = 0
    losses: list[Loss] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    failed: bool = False  #: it could not be read, or judged, to its end
    doubt: Doubt | None = None
    verified: bool = False  #: a checksum over its content held


def book(read: Input, batch: Batch) -> None:
    """Add what a batch held."""
    read.lines += batch.lines
    read.runs += batch.runs.height
    read.requests += batch.requests.height
    read.steps += batch.steps.height
    read.windows += 0 if batch.windows is None else batch.windows.height
    read.records += batch.records
    read.engine = _engines(read.engine, batch)
    add(read.losses, batch.losses)
    add(read.notices, batch.notices)
    if batch.doubt is not None and (read.doubt is None or batch.doubt.figures):
        read.doubt = batch.doubt
    read.failed |= batch.failed


def _engines(known: str | None, batch: Batch) -> str | None:
    """The engines that an input names, `a and b` where there are several."""
    named = [] if known is None else known.split(" and ")
    tables = [batch.runs] if batch.windows is None else [batch.runs, batch.windows]
    found = [name for table in tables for name in table["engine"].drop_nulls().unique(maintain_order=True).to_list()]
    more = [name for name in (*found, *(e.engine for e in batch.events)) if name and name not in named]
    return " and ".join([*named, *dict.fromkeys(more)][:_ENGINES]) or None


def unbook(read: Input, batch: Batch, error: BaseException) -> None:
    """The records of a batch that was booked are one loss after all, because of an error."""
    count = batch.runs.height + batch.requests.height + batch.steps.height + batch.records
    read.runs -= batch.runs.height
    read.requests -= batch.requests.height
    read.steps -= batch.steps.height
    read.windows -= 0 if batch.windows is None else batch.windows.height
    read.records -= batch.records
    read.lines -= count
    book(read, failed(batch.path, error, count=max(count, 1)))


def demand(inputs: Sequence[Input]) -> None:
    """Raises NoInputError where every input failed before anything of it was read: no report can be made of them."""
    lost = [i for i in inputs if i.failed]
    held = any(i.runs or i.requests or i.steps or i.windows or i.records for i in inputs)
    if lost and not held and all(i.failed or i.format == "unrecognised" for i in inputs):
        more = f" (and {len(inputs) - 1} more)" if len(inputs) > 1 else ""
        raise NoInputError(lost[0].losses[-1].what, lost[0].losses[-1].advice, f"{lost[0].path}{more}")


def add(losses: list[Told], more: Sequence[Told]) -> None:
    """Add losses, or notices, to those of an input. What comes after the first ones is told by its kind only; the count stays
    what it is."""
    for one in more:
        if one.kind == "other":  # lines about other things come once a batch; they are told once an input
            same = [i for i, x in enumerate(losses[-2:], max(len(losses) - 2, 0)) if x.kind == "other"]
        elif len(losses) < ONE_BY_ONE:
            same = []
        elif (
            isinstance(one, Loss) and one.kind != "ordinary"
        ):  # each has words of its own, and is counted by its kind later
            one = replace(one, line=None, what=_FURTHER[one.kind])
            same = [i for i, x in enumerate(losses[ONE_BY_ONE:], ONE_BY_ONE) if x.what == one.what]
        else:
            whats = [x.what for x in losses[ONE_BY_ONE:]]
            if one.what not in whats:
                one = replace(one, line=None, what=one.what if len(whats) < KINDS else _REST)
            same = [i for i, what in enumerate(whats, ONE_BY_ONE) if what == one.what]
        if same:
            losses[same[0]] = replace(one, line=None, count=one.count + losses[same[0]].count)
        else:
            losses.append(one)
