"""Envelopes: what others put around the text of an engine. One layer takes them off, whatever the engine and its reader.

Certain envelopes are taken off before any reader is asked. The loose ones would also fit a text that a reader knows as it
is; they are tried where none does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from sdtrace.readers.envelopes import (
    exports,
    http,
    json_text,
    metrics,
    newest_first,
    pages,
    pasted,
    shippers,
    twice,
    wrapped,
    wrapped_json,
    wrapped_table,
)
from sdtrace.readers.envelopes.text import Envelope, Lines
from sdtrace.readers.guard import bears
from sdtrace.readers.io.source import Source, start
from sdtrace.readers.io.unwrapped import LINES, Unwrapped

CERTAIN: tuple[Envelope, ...] = (
    *pasted.ENVELOPES, *twice.ENVELOPES, *http.ENVELOPES, *shippers.ENVELOPES, *metrics.ENVELOPES, *exports.ENVELOPES,
    *pages.ENVELOPES,
    *json_text.ENVELOPES, *wrapped_json.ENVELOPES, *wrapped_table.ENVELOPES, *wrapped.ENVELOPES, *newest_first.ENVELOPES,
)  # fmt: skip
LOOSE: tuple[Envelope, ...] = (*CERTAIN, *pasted.LOOSE, *json_text.LOOSE)
#: Envelopes inside each other.
DEPTH = 8
#: Decompressed bytes of an input that are looked at as a whole.
SMALL = 1 << 20
#: Bytes of the text inside that readers are shown as its head.
HEAD = 1 << 20


@dataclass
class _Peel:
    lines: Lines
    names: list[str] = field(default_factory=list)
    around: int = 0
    again: int = 0


def certain(text: str) -> Unwrapped:
    """A text out of the envelopes that are sure."""
    return unwrapped(text, CERTAIN)


def loose(depth: int) -> Callable[[str], Unwrapped]:
    """Takes a text that no reader knows as it is out of so many of the things that may be envelopes."""
    return _LOOSE[depth - 1]


def inside(src: Source, peel: Callable[[str], Unwrapped] = certain) -> Source:
    """The source with what takes its envelopes off; itself where its text (of a large one its head) is in none, where there is
    more of it than is held at once, and where taking them off fails."""
    if src.file is None or src.is_folder or src.head.startswith(b"PAR1") or not src.head:
        return src
    largest = src.limits.max_line
    if src.packing is None and src.file.stat().st_size > largest:
        return src
    data = start(src, SMALL)
    if len(data) > SMALL:
        data = src.head[: src.head.rfind(b"\n") + 1] or src.head
    found = _tried(data, peel)
    if not _off_one(found) and len(data) < SMALL and data.lstrip()[:1] in (b"{", b"[") and len(data) == len(src.head):
        data = start(src, largest)  # a document of a store tells what it is only as a whole
        found = _tried(data, peel) if len(data) <= largest else found
    if found is None or not found.names:
        return src
    return replace(src, head=found.text.encode("utf-8", "replace")[:HEAD], peel=peel)


def _off_one(inner: Unwrapped | None) -> bool:
    return inner is not None and bool(inner.names)


def _tried(data: bytes, peel: Callable[[str], Unwrapped]) -> Unwrapped | None:
    """A text out of its envelopes; None where it has too many lines, or is in none that holds together."""
    if data.count(b"\n") > LINES:
        return None
    try:
        return peel(data.decode("utf-8", "replace"))
    except BaseException as error:
        if not bears(error):
            raise
        return None


def unwrapped(text: str, envelopes: Sequence[Envelope] = CERTAIN, depth: int = DEPTH) -> Unwrapped:
    """A text out of its envelopes, one inside the other."""
    now = _Peel(list(enumerate(text.split("\n"), start=1)))
    if now.lines and not now.lines[-1][1]:
        now.lines.pop()
    count = len(now.lines)
    now.lines = [(n, line.rstrip("\r")) for n, line in now.lines]
    while len(now.names) < depth and _off(now, envelopes, text):
        text = "\n".join(line for _, line in now.lines)
    made = "".join(f"{line}\n" for _, line in now.lines)
    return Unwrapped(made, [n for n, _ in now.lines], tuple(now.names), now.around, now.again, count)


def _off(now: _Peel, envelopes: Sequence[Envelope], text: str) -> bool:
    """Take one envelope off, no name twice in a row: what is left of an envelope is no other one."""
    for envelope in envelopes:
        if envelope.name in now.names[-2:] or not envelope.hint(text):
            continue
        bare = envelope.off(now.lines)
        if bare is not None and bare.lines != now.lines:
            now.lines, now.around, now.again = bare.lines, now.around + bare.around, now.again + bare.again
            now.names.append(envelope.name)
            return True
    return False


#: One function a depth: a source is the same source where its function is the same.
_LOOSE = tuple(partial(unwrapped, envelopes=LOOSE, depth=depth) for depth in range(1, DEPTH + 1))
