"""What was read of one input: records by table, and what became of every other line."""

from dataclasses import dataclass, field, replace

from sdtrace.schema.trace import OTHER, Batch, Loss, Notice


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


def book(read: Input, batch: Batch) -> None:
    """Add what a batch held."""
    read.lines += batch.lines
    read.runs += batch.runs.height
    read.requests += batch.requests.height
    read.steps += batch.steps.height
    read.windows += 0 if batch.windows is None else batch.windows.height
    read.records += batch.records
    for loss in batch.losses:
        _lose(read.losses, loss)
    read.notices.extend(batch.notices)


def _lose(losses: list[Loss], loss: Loss) -> None:
    """Lines about other things come once a batch; they are told once an input."""
    same = [i for i, x in enumerate(losses[-2:], max(len(losses) - 2, 0)) if loss.what == OTHER == x.what]
    if same:
        losses[same[0]] = replace(loss, count=loss.count + losses[same[0]].count)
    else:
        losses.append(loss)
