"""JSON that stands in a text: indented, one behind the other, in a fence, behind a logger's prefix. One value a line comes out.

Tried where no reader knows a text as it is. A line without JSON is none of the text; one with a brace may be a cut record.
"""

import json
import re
from bisect import bisect_right
from itertools import accumulate

import orjson

from sdtrace.readers.envelopes.exports import ENVELOPES as EXPORTS
from sdtrace.readers.envelopes.shippers import timed
from sdtrace.readers.envelopes.text import Bare, Envelope, Lines, begins, holds
from sdtrace.readers.metrics.series import ENGINES

_DECODER = json.JSONDecoder()
#: Characters that attempts which come to nothing may cost in all.
BUDGET = 32 << 20
#: Blanks between two objects of a line.
BLANKS = 16
_START = re.compile(r"[{\[](?=\s*(?:[\"{\[\]}\n\r]|$))")
_PREFIX = re.compile(
    rf"^[^{{\"']{{1,200}}?[\s:>|\]](data: \{{.*|(?:ray_)?(?:{'|'.join(ENGINES)})[:_]\w+(?:\{{[^}}]*\}})? -?[\d.]+(?:e[+-]?\d+)?(?: \d+)?)$"
)
#: What shippers and tools put in front of each line, in the order in which they stand.
_FRONTS = (
    re.compile(r"[\w.-]{1,80} {0,40}\|(?: |$)"),
    re.compile(r"\[(?:pod/)?[a-z][\w./-]{0,200}\] ?"),
    re.compile(r"[a-z][a-z0-9.-]{0,200}-(?:[a-z0-9]{5}|\d{1,3}) [a-z][a-z0-9-]{0,62}(?: |$)"),
    re.compile(r"[A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d [\w.-]{1,80} [\w.@/-]{1,80}(?:\[\d{1,9}\])?:(?: |$)"),
    re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[\d.,]{0,12}(?:Z|[+-]\d\d:?\d\d)?(?: |$)"),
    re.compile(r"[\w.-]{1,100}/[\w.-]{1,100}/[\w.-]{1,100}(?: |$)"),
    re.compile(r" {0,8}\d{1,9}[\t:]"),
)
#: Where one object ends and the next begins.
_GLUED = re.compile(r"\}[ \t]*\{\"")
#: How a list begins, and what stands behind one of its elements.
_LIST = re.compile(r"^\s*+\[\s*+(?P<end>\]\s*+$)?")
_NEXT = re.compile(r"(?<!\s)\s*+(?:,\s*+|(?P<end>\]\s*+$))")
_EVENT, _FIELD = re.compile(r"data:\s*\{"), re.compile(r"(?:data|event|id|retry)?:")
_LOGGED = re.compile(r'^\s*\{.{0,4000}?"(?:log|MESSAGE|message|msg)"\s*:\s*"')


def events(lines: Lines) -> Bare | None:
    """An event stream without the text around it: its events add up to one answer, single ones would be counted each."""
    if sum(bool(_EVENT.match(text)) for _, text in lines) < 2:
        return None
    kept = [(n, text) for n, text in lines if not text.strip() or _FIELD.match(text)]
    return Bare(kept, len(lines) - len(kept)) if len(kept) < len(lines) else None


def values(lines: Lines) -> Bare | None:
    """Every JSON object or list of the text on a line of its own, what stood before it on its line left out."""
    text = "\n".join(line for _, line in lines)
    starts, at = [], 0
    for _, line in lines:
        starts.append(at)
        at += len(line) + 1
    made: Lines = []
    index, place, spent, found = 0, 0, 0, 0
    while index < len(lines):
        number, line = lines[index]
        begin = max(place, starts[index])
        stop = starts[index] + len(line)
        value = None
        while spent < BUDGET and (m := _START.search(text, begin, stop)):
            value, end = _value(text, m.start())
            if value is not None:
                break
            spent += end - m.start()
            begin = m.start() + 1
        if value is None:
            if place <= starts[index] and "{" in line:  # it may be a record that was cut
                made.append((number, line))
            index += 1
            continue
        found += 1
        made.append((number, value))
        place = end
        while index < len(lines) and starts[index] + len(lines[index][1]) <= place:
            index += 1
    return Bare(made, len(lines) - len({n for n, _ in made})) if found else None


def _value(text: str, start: int) -> tuple[str | None, int]:
    """(compact JSON of the value that begins there, where it ends); None and how far was looked where there is none."""
    try:
        value, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        return None, max(error.pos, start + 1)
    except RecursionError:  # so many brackets are tried again from each of them: that is soon enough
        return None, len(text)
    if not value or not isinstance(value, dict | list):
        return None, end
    try:
        return orjson.dumps(value).decode(), end
    except (TypeError, orjson.JSONEncodeError):
        return json.dumps(value), end


def glued(lines: Lines) -> Bare | None:
    """Lines of several objects, one behind the other without the end of a line: an object a line."""
    made: Lines = []
    for n, text in lines:
        parts = _objects(text) if _GLUED.search(text) and text.lstrip()[:1] == "{" else []
        made += [(n, part) for part in parts] or [(n, text)]
    return Bare(made) if len(made) > len(lines) else None


def _objects(text: str) -> list[str]:
    """The objects that a line consists of; none where something else stands between them."""
    text = text.strip()
    made, at = [], 0
    while at < len(text):
        value, at = _value(text, at)
        if value is None or value[0] != "{":
            return []
        made.append(value)
        at += len(text[at : at + BLANKS]) - len(text[at : at + BLANKS].lstrip())
    return made


def elements(lines: Lines) -> Bare | None:
    """A text that is one list of objects: an object a line, with the line on which it begins. `jq -s` makes it of JSON Lines."""
    text = "\n".join(line for _, line in lines)
    starts = list(accumulate((len(line) + 1 for _, line in lines), initial=0))
    made: Lines = []
    m = _LIST.match(text)
    while m is not None and m["end"] is None:
        value, end = _value(text, m.end())
        if value is None or value[0] != "{":
            return None
        made.append((lines[bisect_right(starts, m.end()) - 1][0], value))
        m = _NEXT.match(text, end)
    return Bare(made, len(lines) - len({n for n, _ in made})) if m is not None and made else None


def prefixes(lines: Lines) -> Bare | None:
    """What a logger puts in front of an event of a stream or a sample of a metric."""
    made = [(n, m[1] if (m := _PREFIX.match(text)) else text) for n, text in lines]
    return Bare(made) if any(a != b for a, b in zip(made, lines, strict=True)) else None


def fronts(lines: Lines) -> Bare | None:
    """What stands in front of every line of a text: a service of compose, a pod, a time, a number; a document is broken by it."""
    made, share = lines, 0
    for kind in _FRONTS:
        if sum(bool(kind.match(text)) for _, text in made) >= 0.95 * len(made):
            made, share = [(n, kind.sub("", text, count=1)) for n, text in made], share + 1
    return Bare(made) if share else None


def logged(lines: Lines) -> Bare | None:
    """Shippers' lines of JSON whose text no log reader knows: what they carry is no log."""
    made: list[tuple[int, str, str]] = []
    found = 0
    for n, text in lines:
        record = None
        if _LOGGED.match(text):
            try:
                record = orjson.loads(text)
            except orjson.JSONDecodeError:
                record = None
        inner = (
            next((record[k] for k in ("log", "MESSAGE", "message", "msg") if isinstance(record.get(k), str)), None)
            if isinstance(record, dict)
            else None
        )
        if inner is None:
            made.append((n, "", text))
            continue
        found += 1
        made.append((n, "", inner))
    return Bare(timed(made)) if found else None


ENVELOPES = (Envelope("records without line ends", lambda text: _GLUED.search(text) is not None, glued),)
LOOSE = (
    Envelope("text around an event stream", holds("data:"), events),
    Envelope("lines of a shipper", holds('"log"', '"MESSAGE"', '"message"', '"msg"'), logged),
    *EXPORTS,
    Envelope("what stands before each line", lambda text: "\n" in text.strip(), fronts),
    Envelope("prefixes of a logger", lambda text: True, prefixes),
    Envelope("a list of records", begins("["), elements),
    Envelope("JSON in a text", holds("{", "["), values),
)
