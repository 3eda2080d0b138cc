"""The events of a Chrome trace, one by one: the file is never held as a whole, for a profile of seconds has hundreds of megabytes.

Forms: an object with a list `traceEvents` (torch profiler, Perfetto, Chrome), and the list alone, whose closing bracket may be missing.
"""

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sdtrace.limits import LimitError, lifted, size
from sdtrace.readers.io.source import Source, blocks
from sdtrace.readers.json_value import whole

#: Characters of one event; no profiler writes so long a one.
LONGEST = 1 << 20
#: Characters that attempts at damaged events may cost, in all; each costs so many at the least, for the library counts lines then.
BUDGET, ATTEMPT = 64 << 20, 1 << 12
_LIST = re.compile(r'"traceEvents"\s*:\s*\[')
_ALONE = re.compile(r'\ufeff?\s*\[\s*\{(?=[^{}\[\]]{0,2000}"ph"\s*:)')
_VERSION = re.compile(r'"vllm_version"\s*:\s*"(\d[\w.+-]{0,30})"')
#: How torch's head begins: its list of groups of ranks may be longer than what is looked at.
_TORCH = re.compile(r'\s*\{\s*"schemaVersion"\s*:\s*\d+\s*,\s*"deviceProperties"\s*:')
_BASE = re.compile(r'"baseTimeNanoseconds"\s*:\s*(\d{1,19})')
_NEXT = re.compile(r"[^\s,]")
_EVENT = re.compile(r"\{(?=\s*\")")
_DECODER = json.JSONDecoder(parse_int=whole)


@dataclass
class EventFacts:
    """What is met beside the events: damaged ones and the first of them, values that are no events, where the clock begins (ns)."""

    events: int = 0
    damaged: int = 0
    first_damaged: int | None = None
    strange: int = 0
    cut: bool = False  #: the list has no end
    base_ns: int | None = None
    version: str | None = None  #: of vLLM, which writes it into the head
    limits: list[LimitError] = field(default_factory=list)


@lru_cache(4)
def begins(head: bytes) -> bool:
    """Whether the first bytes of an input are those of a Chrome trace. Every other reader asks it too."""
    start = head[:64].lstrip(b"\xef\xbb\xbf \r\n\t")[:1]
    if start == b"{":
        text = head.decode("utf-8", "replace")
        return _LIST.search(text) is not None or _TORCH.match(text.lstrip("\ufeff")) is not None
    return start == b"[" and _ALONE.match(head[:4096].decode("utf-8", "replace")) is not None


class _Text:
    """The characters of an input from the first that is wanted still on."""

    def __init__(self, src: Source) -> None:
        self._blocks = blocks(src)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.text, self.at, self.ended = "", 0, False

    def more(self) -> bool:
        """Read on; False at the end."""
        if self.ended:
            return False
        block = next(self._blocks, b"")
        self.ended = not block
        self.text = self.text[self.at :] + self._decoder.decode(block, final=self.ended)
        self.at = 0
        return not self.ended


def events(src: Source, facts: EventFacts) -> Iterator[dict[str, Any]]:
    """Every event in the order of the file; what is none is counted in `facts`."""
    text = _Text(src)
    if not _to_the_list(text, facts):
        return
    spent = 0
    while True:
        found = _NEXT.search(text.text, text.at)
        if found is None:
            text.at = len(text.text)
            if text.more():
                continue
            facts.cut = True
            return
        text.at = found.start()
        if text.text[text.at] == "]":
            _base(text, facts)
            return
        value, end, looked = _value(text)
        if end is not None:
            text.at = end
            if isinstance(value, dict):
                facts.events += 1
                yield value
            else:
                facts.strange += 1
            continue
        if len(text.text) - text.at <= LONGEST and text.more():
            continue
        facts.damaged += 1
        facts.first_damaged = facts.first_damaged or facts.events + facts.damaged + facts.strange
        spent += looked
        _resume(text)
        if spent > BUDGET:
            what = f"more than {size(BUDGET)} of damaged events; what is behind them was not read"
            facts.limits.append(LimitError(what, lifted("max_line", src.limits.max_line)))
            return


def _to_the_list(text: _Text, facts: EventFacts) -> bool:
    """Go to the first event. What stands before it is the head: a few thousand characters, of which the clock is kept."""
    while text.more():
        if alone := _ALONE.match(text.text):
            text.at = text.text.index("[", alone.start()) + 1
            return True
        if found := _LIST.search(text.text):
            if base := _BASE.search(text.text, 0, found.start()):
                facts.base_ns = int(base[1])
            if version := _VERSION.search(text.text, 0, found.start()):
                facts.version = version[1]
            text.at = found.end()
            return True
        if len(text.text) > LONGEST:
            break
    return False


def _base(text: _Text, facts: EventFacts) -> None:
    """The clock, where it stands behind the events."""
    if facts.base_ns is None and (base := _BASE.search(text.text, text.at)):
        facts.base_ns = int(base[1])


def _value(text: _Text) -> tuple[Any, int | None, int]:
    """The value that begins here and where it ends; None for the end where it is cut or damaged, and how many characters that took."""
    try:
        return (*_DECODER.raw_decode(text.text, text.at), 0)
    except json.JSONDecodeError as error:
        return None, None, max(error.pos - text.at, ATTEMPT)
    except (ValueError, RecursionError):  # so long a number, so many brackets: tried again from each of them
        return None, None, LONGEST


def _resume(text: _Text) -> None:
    """Go on at the next brace that may begin an event."""
    text.at += 1
    while (found := _EVENT.search(text.text, text.at)) is None:
        text.at = len(text.text)
        if not text.more():
            text.at = len(text.text)
            return
    text.at = found.start()
