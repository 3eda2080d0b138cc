"""Every reader: those of this package, and those that other packages offer. None is preferred: two that claim one input are told."""

from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache
from importlib.metadata import EntryPoint, entry_points

from sdtrace.errors import UsageError
from sdtrace.readers import logs, records
from sdtrace.readers.guard import bears
from sdtrace.readers.io.source import Source
from sdtrace.readers.metrics import prometheus
from sdtrace.readers.profiler import chrome
from sdtrace.readers.reader import Reader
from sdtrace.readers.records import sse
from sdtrace.readers.refusal import NO_OBJECT, NOT_HEARD, PARQUET
from sdtrace.readers.trace import jsonl, paper, parquet, specspecs
from sdtrace.schema.trace import Batch

#: Where a package of its own offers a Reader: [project.entry-points."sdtrace.readers"] my-format = "my_package:READER".
GROUP = "sdtrace.readers"

#: Every reader of logs or of records asks; it is answered once a file.
_once = lru_cache(4)


def _heard(name: str) -> Callable[[Source], str | None]:
    """A log is its dialect's where no other dialect is heard in it, and where it is no other format."""

    def refuse(src: Source) -> str | None:
        if why := _no_log(src):
            return why
        spoken = logs.spoken(src)
        if name == _MIXED:
            return None if len(spoken) > 1 else "not lines of two engines"
        if name not in spoken:
            return NOT_HEARD
        return None if spoken == [name] else f"lines of {' and '.join(spoken)}: {_MIXED} reads it"

    return refuse


@_once
def _no_log(src: Source) -> str | None:
    if src.is_folder:
        return "a folder"
    if src.head.startswith(b"PAR1"):
        return PARQUET
    if jsonl.sniff(src.head) is None:
        return "lines of trace format 1"
    if chrome.sniff(src.head) is None:
        return "Chrome trace events"
    if (shape := _record(src)) is not None:
        return f"records of {shape}"
    return "a Prometheus exposition" if prometheus.sniff(src.head) is None else None


@_once
def _record(src: Source) -> str | None:
    """The shape of a file of JSON records; a log in JSON Lines is none, nor are events of a stream."""
    if src.is_folder or src.head.startswith(b"PAR1"):
        return None
    if any(sniff(src.head) is None for sniff in (sse.sniff, jsonl.sniff, chrome.sniff)):
        return None
    return records.shape_of(src)


def _shaped(name: str) -> Callable[[Source], str | None]:
    def refuse(src: Source) -> str | None:
        shape = _record(src)
        return None if shape == name else f"records of {shape}" if shape else NO_OBJECT

    return refuse


def _mixed(src: Source) -> Iterator[Batch]:
    return logs.read(logs.spoken(src), src)


_MIXED = "mixed-log"

_OURS = (
    *(Reader(n, s.says, s.looks_for, _shaped(n), records.READ[n], s.engine) for n, s in records.SHAPES.items()),
    sse.READER,
    prometheus.READER,
    chrome.READER,
    *(Reader(n, d.says, d.looks_for, _heard(n), logs.READ[n], d.engine) for n, d in logs.DIALECTS.items()),
    Reader(_MIXED, "a text log that several engines wrote into", "lines of two engines", _heard(_MIXED), _mixed),
    jsonl.READER,
    parquet.READER,
    paper.READER,
    specspecs.READER,
)


@cache
def registered() -> dict[str, Reader]:
    """Every reader by its name; looked up when it is first asked for, since a package that offers one may import this one."""
    return gathered(entry_points(group=GROUP))


def gathered(points: Iterable[EntryPoint]) -> dict[str, Reader]:
    """The readers of this package and those that entry points name. One that cannot be used stays, and refuses with the reason."""
    readers = {reader.name: reader for reader in _OURS}
    assert len(readers) == len(_OURS), "two readers of one name"
    for point in sorted(points, key=lambda p: (p.name, p.value)):
        made = _loaded(point)
        if isinstance(made, Reader) and made.name in readers:
            made = f"its name {made.name} is taken"
        reader = made if isinstance(made, Reader) else _unusable(point, made)
        readers[reader.name] = reader
    return readers


def _loaded(point: EntryPoint) -> Reader | str:
    """What an entry point offers, or why it is of no use: code of others may fail in any way."""
    try:
        made = point.load()
    except BaseException as error:
        if not bears(error):
            raise
        return f"it cannot be loaded: {type(error).__name__}: {str(error)[:120]}"
    return made if isinstance(made, Reader) else f"it is a {type(made).__name__}, not a Reader"


def _unusable(point: EntryPoint, why: str) -> Reader:
    told = f"the reader of {point.value} is of no use: {why}"

    def batches(src: Source) -> Iterator[Batch]:
        raise UsageError(told, "mend or remove the package that offers it; sdtrace detect --why shows every reader")

    return Reader(f"{point.name} ({point.value})", told, "nothing", lambda _: told, batches)
