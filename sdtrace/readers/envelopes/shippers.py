"""What container runtimes, journald and Fluent Bit put around a line: CRI's stamp with P and F, docker's pieces, arrays of bytes."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from sdtrace.readers.envelopes.text import Bare, Envelope, Lines, full, holds, record_of, share

_CRI = re.compile(
    r"^(?P<at>\d{4}-\d\d-\d\dT[\d:.]{8,24}(?:Z|[+-]\d\d:?\d\d)) (?P<stream>stdout|stderr) (?P<part>[FP])(?: (?P<text>.*))?$"
)
_PIECE = re.compile(r'^\s*\{.{0,400}?"log"\s*:')
_BYTES = re.compile(r'"MESSAGE"\s*:\s*\[\s*[\d\]]|"type"\s*:\s*"Buffer"')
_LOGFMT = re.compile(
    r'^(?:(?:time|ts|t)="?(?P<at>[\dT:.Z+-]{8,40})"? +)?(?:level|lvl|severity)="?\w+"? +'
    r'(?:(?!msg=)\w+=(?:"[^"]{0,400}"|\S{0,400}) +){0,8}(?:msg|message)=(?P<text>"(?:[^"\\]|\\.)*+")'
)
#: How the lines begin that an engine prints and a logger of Go passes on; what that logger says of its own has other words.
_ENGINE = re.compile(
    r"^ {0,20}(?:\[\d{1,9}\] )?(?:\d{1,9}[\d.]{9,12} [IWED] )?(?:slot +\w|srv +\w|(?:prompt )?eval time =|total time =|draft acceptance"
    r"|statistics +\S+: #calls)|SpecDecoding metrics:|Avg prompt throughput:|\] Decode batch"
)
#: a line that speaks for itself gets no stamp in front: JSON, an event of a stream, a sample of a metric
ALONE = re.compile(
    r'^\s*(?:[\[{]"|\[?\{|\||data: |: |event: |# (?:HELP|TYPE) |[a-zA-Z_:][\w:]*(?:\{[^}]*\})? -?[\d.]+(?:e[+-]?\d+)?(?: \d+)?$)'
)


def stamped(at: str, text: str) -> str:
    """A line with the time that its envelope tells, where the line can bear it."""
    return text if not at or not text.strip() or ALONE.match(text) else f"{at} {text}"


def timed(lines: list[tuple[int, str, str]]) -> Lines:
    """Lines from (number, time, text): with their times, if what is inside is not a document of JSON or a table."""
    first = next((text for _, _, text in lines if text.strip()), "")
    alone = bool(ALONE.match(first)) or first.strip() in ("{", "[")
    return [(n, part if alone else stamped(at, part)) for n, at, text in lines for part in _parts(text)]


def _parts(text: str) -> list[str]:
    """The lines of an entry; other marks of a line's end than the newline are part of a text."""
    return [part.rstrip("\r") for part in text.removesuffix("\n").split("\n")]


@dataclass
class _Pieces:
    """Entries as (line, time, text), and by stream the pieces of one that goes on: joined once, however many there are."""

    made: list[tuple[int, str, str]] = field(default_factory=list)
    held: dict[str, tuple[int, str, list[str]]] = field(default_factory=dict)

    def add(self, stream: str, n: int, at: str, text: str, *, goes_on: bool) -> None:
        first, begun, parts = self.held.setdefault(stream, (n, at, []))
        parts.append(text)
        if not goes_on:
            del self.held[stream]
            self.made.append((first, begun, "".join(parts)))

    def whole(self) -> list[tuple[int, str, str]]:
        """All entries by their first line, those that never ended too."""
        open_ones = [(first, begun, "".join(parts)) for first, begun, parts in self.held.values()]
        return sorted([*self.made, *open_ones], key=lambda entry: entry[0])


def cri(lines: Lines) -> Bare | None:
    """CRI's lines, the pieces of a long one (P ... P F) put together by stream."""
    if share(full(lines), _CRI.match) < 0.8:
        return None
    pieces = _Pieces()
    for n, text in lines:
        m = _CRI.match(text)
        if m is None:
            pieces.made.append((n, "", text))
        else:
            pieces.add(m["stream"], n, m["at"], m["text"] or "", goes_on=m["part"] == "P")
    return Bare(timed(pieces.whole()))


def docker_pieces(lines: Lines) -> Bare | None:
    """docker cuts a line of more than 16 KB: a piece lacks the newline, and the next one goes on."""
    records = [(n, text, record_of(text) if _PIECE.match(text) else None) for n, text in lines]
    known = [(n, r) for n, _, r in records if r is not None and isinstance(r.get("log"), str)]
    if len(known) < 0.8 * len(full(lines)) or all(r["log"].endswith("\n") for _, r in known[:-1]):
        return None
    pieces = _Pieces()
    for n, text, record in records:
        if record is None or not isinstance(record.get("log"), str):
            pieces.made.append((n, "", text))
        else:
            said, at = record["log"], str(record.get("time") or "")
            pieces.add(str(record.get("stream")), n, at, said, goes_on=not said.endswith("\n"))
    return Bare(timed(pieces.whole()))


def logfmt(lines: Lines) -> Bare | None:
    """`time=.. level=info msg="an engine's line" component=..`: the line behind its time, where a message is an engine's."""
    made: list[tuple[int, str, str]] = []
    found = 0
    for n, text in lines:
        m = _LOGFMT.match(text)
        said = _quoted(m["text"]) if m else None
        found += said is not None and _ENGINE.search(said) is not None
        made.append((n, "", text) if said is None or m is None else (n, m["at"] or "", said))
    return Bare(timed(made)) if found else None


def _quoted(text: str) -> str | None:
    """A string as Go quotes it; it is JSON but for rare escapes."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text[1:-1]
    return found if isinstance(found, str) else None


def byte_arrays(lines: Lines) -> Bare | None:
    """journald writes a message that is no clean text as a list of bytes, JavaScript a Buffer likewise."""
    if not any(_BYTES.search(text[:20_000]) for _, text in lines):
        return None
    made: list[tuple[int, str, str]] = []
    found = False
    for n, text in lines:
        record = record_of(text) if _BYTES.search(text[:20_000]) else None
        message = _text(record.get("MESSAGE", record.get("data"))) if record else None
        if record is None or message is None:
            made.append((n, "", text))
            continue
        found = True
        made.append((n, moment(record.get("__REALTIME_TIMESTAMP")), message))
    return Bare(timed(made)) if found else None


def _text(value: Any) -> str | None:
    """A list of bytes as text."""
    if not isinstance(value, list) or not all(isinstance(b, int) and 0 <= b < 256 for b in value):
        return None
    return bytes(value).decode("utf-8", "replace")


def moment(at: Any) -> str:
    """ISO time of Unix seconds, milliseconds, microseconds or nanoseconds, told apart by size; text stays as it is."""
    if isinstance(at, str) and not re.fullmatch(r"\d{9,19}(?:\.\d{1,9})?", at):
        return at if len(at) < 48 else ""
    try:
        number = float(at)
    except (TypeError, ValueError):
        return ""
    for scale in (1.0, 1e3, 1e6, 1e9):
        if 1e8 <= number / scale < 1e10:
            return f"{datetime.fromtimestamp(number / scale, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    return ""


#: `[12] kube.var.log.containers.POD_NAMESPACE_NAME.log: [[1795428000.123, {}], {"log"=>"...", "stream"=>"stderr"}]`
_FLUENT_BIT = re.compile(
    r"^\[\d{1,9}\] (?P<tag>[^\s:]{1,400}): \[\[?(?P<at>\d{9,10}\.\d{1,9})(?:, \{[^}]{0,400}\}\])?, (?=\{)"
)
_SAYS, _SAYS_END = (
    re.compile(r'"(?:log|message|MESSAGE|msg)"=>"'),
    re.compile(r'"(?=, "[\w.@/-]{1,80}"=>|\}{1,4}\]?\s*$)'),
)
_FLUENT_POD = re.compile(r'"pod_name"=>"([\w.-]{1,253})"|\bcontainers\.([a-z0-9][a-z0-9.-]{0,252})_[a-z0-9-]{1,63}_')


def fluent_bit(lines: Lines) -> Bare | None:
    """Records as Fluent Bit's output to the terminal shows them: quotes inside a text stand as they are."""
    if share(full(lines), _FLUENT_BIT.match) < 0.8:
        return None
    found: list[tuple[int, str, str, str]] = []
    around = 0
    for n, text in lines:
        head = _FLUENT_BIT.match(text)
        says = _SAYS.search(text, head.end()) if head else None
        end = _SAYS_END.search(text, says.end()) if says else None
        if head is None:
            found.append((n, "", "", text))
        elif says is None or end is None:
            around += 1
        else:
            pod = _FLUENT_POD.search(text)
            name = (pod[1] or pod[2]) if pod else ""
            found.append((n, moment(head["at"]), name, text[says.end() : end.start()].removesuffix("\\n")))
    several = len({pod for _, at, pod, _ in found if at}) > 1
    heads = [f"[pod/{pod}] {at}" if several and pod else at for _, at, pod, _ in found]
    return Bare(timed([(n, head, text) for head, (n, _, _, text) in zip(heads, found, strict=True)]), around)


ENVELOPES = (
    Envelope("records of Fluent Bit", holds('"=>"'), fluent_bit),
    Envelope("CRI", holds(" stdout ", " stderr "), cri),
    Envelope("pieces of docker", holds('"log":', '"log" :'), docker_pieces),
    Envelope("lines of logfmt", holds('msg="', 'message="'), logfmt),
    Envelope("arrays of bytes", holds('"MESSAGE"', '"Buffer"'), byte_arrays),
)
