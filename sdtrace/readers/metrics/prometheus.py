"""Prometheus text exposition of an engine: one scrape, or several after one another."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from sdtrace.readers.io.source import Source, lines
from sdtrace.readers.metrics.series import BEGINS, NAME, Scrape, place, wanted
from sdtrace.readers.reader import Reader, of_text
from sdtrace.readers.repeated import ADVICE, WHAT
from sdtrace.schema.counters import Row, from_rows
from sdtrace.schema.trace import Batch, Loss, no_tables, other_lines

#: What is said of lines that are no samples of an engine.
EXPECTED = "expected in an exposition"
#: Why a sample is lost.
CUT = "a sample that is no exposition line"
#: Windows of one batch.
ROWS = 5_000

#: Metrics of Ray's own processes.
_OF_RAY = re.compile(
    rb"^# TYPE ray_(?:node|component|raylet|core_worker|gcs|object_store|tasks|actors|grpc|internal)_?\w* \w+",
    re.MULTILINE,
)
_NUMBER = re.compile(r"[\d.eE+-]+|[+-]?Inf|NaN")
_EXEMPLAR = " # {"
#: A time of so much or more is in milliseconds: in seconds it would be the year 5138.
_MILLISECONDS = 1e11


def sniff(head: bytes) -> str | None:
    """None where the head holds a sample or a type line of an engine's metric, or is that of a page of Ray: what Ray says of itself
    fills hundreds of kilobytes before the first metric of an engine."""
    if _OF_RAY.search(head):
        return None
    for line in head.split(b"\n"):
        text = line.decode("utf-8", "replace")
        if re.match(r"# (?:TYPE|HELP) ", text):
            text = text.split(" ", 3)[2]
        if NAME.match(text) and (line.startswith(b"#") or _valued(text)):
            return None
    return "no metric named vllm:, sglang:, llamacpp:, trtllm_, lmdeploy:"


def _valued(text: str) -> bool:
    """Whether a value, and perhaps a time, stands behind the name and its labels."""
    rest = (text[text.rfind("}") + 1 :] if "}" in text else text.partition(" ")[2]).split()
    return bool(rest) and _NUMBER.fullmatch(rest[-1]) is not None


@dataclass(frozen=True)
class _Name:
    """The part of a line before its value, parsed: None in `engine` where no window is made of it."""

    engine: str | None
    bare: str
    labels: Mapping[str, str]
    where: str


@dataclass
class _Held:
    """What was read since the last batch, and the scrape that is being read."""

    lines: int = 0
    used: int = 0
    losses: list[Loss] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


def batches(src: Source) -> Iterator[Batch]:
    """Samples of a file; a metric that comes again begins the next scrape."""
    named, names = _named_time(src.path), dict[str, _Name | None]()
    held, scrape, stamp, seen = _Held(), Scrape(), None, set[str]()
    last, before = "", 0.0
    for number, raw in lines(src):
        held.lines += 1
        text = raw.decode("utf-8", "replace").strip()
        if not text.startswith(BEGINS):
            continue
        key, value, at = _split(text)
        if key not in names:
            names[key] = _parsed(key)
        name = names[key]
        if name is None or value is None:
            held.losses.append(Loss(src.path, number, CUT, 1, "it was cut"))
            if len(held.losses) >= ROWS:
                yield _batch(src.path, held)
                held = _Held()
            continue
        if name.engine is None:
            continue
        if key == last and at is None and value == before:
            held.losses.append(Loss(src.path, number, WHAT, 1, ADVICE))
            continue
        last, before = key, value
        held.used += 1
        if key in seen:
            held.rows += scrape.rows(stamp if stamp is not None else named)
            scrape, stamp, seen = Scrape(), None, set()
            if len(held.rows) >= ROWS:
                yield _batch(src.path, held)
                held = _Held()
        seen.add(key)
        stamp = at if at is not None else stamp
        scrape.take(name.engine, name.bare, name.labels, name.where, value, number)
    held.rows += scrape.rows(stamp if stamp is not None else named)
    yield _batch(src.path, held)


def _split(text: str) -> tuple[str, float | None, float | None]:
    """Name with labels, value, time in seconds (milliseconds of the exposition, seconds of OpenMetrics); value None where the line
    was cut. An exemplar behind a sample (`name{..} 5 # {trace_id=".."} 1`) is none of it."""
    text = _bare(text)
    end = text.rfind("}") + 1 or len(text.partition(" ")[0])
    rest = text[end:].split()
    try:
        at = float(rest[1]) if len(rest) > 1 else None
        return text[:end], float(rest[0]), at / 1e3 if at is not None and at >= _MILLISECONDS else at
    except (ValueError, IndexError):
        return text[:end], None, None


def _bare(text: str) -> str:
    """A sample without its exemplar: what begins one inside a label's value stands between quotes."""
    start = quotes = 0
    while (at := text.find(_EXEMPLAR, start)) >= 0:
        quotes += text.count('"', start, at) - text.count('\\"', start, at)
        if not quotes % 2:
            return text[:at]
        start = at + 1
    return text


def _parsed(key: str) -> _Name | None:
    """The library's reading of a name with its labels; None where it is cut. Names that say nothing are not read."""
    found = wanted(key.partition("{")[0])
    if found is None:
        return _Name(None, "", {}, "")
    try:
        sample = next(iter(next(iter(text_string_to_metric_families(f"{key} 1\n"))).samples))
    except (ValueError, StopIteration, KeyError, IndexError):
        return None
    return _Name(*found, dict(sample.labels), place(sample.labels))


def _batch(path: str, held: _Held) -> Batch:
    other = held.lines - held.used - len(held.losses)
    if other:
        held.losses.append(other_lines(path, other, EXPECTED))
    tables = no_tables()
    return Batch(path, held.lines, *tables, held.losses, [], from_rows(path, held.rows), records=held.used)


@dataclass(frozen=True)
class Scraped:
    """One scrape of a running engine: windows as rows; its lines, how many of them are in the rows, how many were cut."""

    rows: list[Row]
    lines: int
    used: int
    cut: int


def scraped(text: str, at: float) -> Scraped:
    """The windows of one scrape, which has no file."""
    scrape, lines, used, cut = Scrape(), text.splitlines(), 0, 0
    for number, raw in enumerate(lines, start=1):
        if not raw.startswith(BEGINS):
            continue
        key, value, _ = _split(raw.strip())
        name = _parsed(key)
        if name is None or value is None:
            cut += 1
        elif name.engine is not None:
            used += 1
            scrape.take(name.engine, name.bare, name.labels, name.where, value, number)
    return Scraped(scrape.rows(at), len(lines), used, cut)


def _named_time(path: str) -> float | None:
    """Scrapes are often named by their Unix time."""
    found = re.search(r"(?<!\d)(1\d{9})(\d{3})?(?!\d)", path.rsplit("/", 1)[-1])
    return float(found[1]) + (float(found[2]) / 1e3 if found[2] else 0.0) if found else None


READER = Reader(
    name="prometheus",
    says="Prometheus text exposition of an engine",
    looks_for="a metric of an engine",
    refuse=of_text(sniff),
    batches=batches,
)
