"""Who is told how far the reading of inputs has come: a bar on a terminal while a command runs, nobody otherwise."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sdtrace.schema.trace import Batch

#: Told the input, its lines so far and, where they are known, how many it has about; `None` when it has ended.
Listener = Callable[[str, int | None, int | None], None]

_LISTENERS: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell `listener` of every batch that is read while this holds, in any thread."""
    _LISTENERS.append(listener)
    try:
        yield
    finally:
        _LISTENERS.remove(listener)


def heard(path: str, batches: Iterator[Batch], lines: int | None) -> Iterator[Batch]:
    """The batches, each told of when it comes. `lines`: about how many the input has."""
    if not _LISTENERS:
        return batches
    return _heard(path, batches, lines)


def _heard(path: str, batches: Iterator[Batch], lines: int | None) -> Iterator[Batch]:
    done = 0
    for batch in batches:
        done += batch.lines
        for listener in tuple(_LISTENERS):
            listener(path, done, lines)
        yield batch
    for listener in tuple(_LISTENERS):
        listener(path, None, lines)
