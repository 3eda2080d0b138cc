"""Lines inside a prompt that is printed over several lines: all of them are user text, whatever they look like.

A prompt opens with a quote right behind the name of a field for user text and is still open where its line ends. It closes at
the first quote that stands before a comma, a bracket or the end of a line. One that does not close soon is no such prompt.
"""

import re
from collections.abc import Iterator

import numpy as np

#: What a prompt opens behind: a name of at most 8 letters, and up to 9 bytes between it and the quote, which is the last byte.
_OPENS = re.compile(rb"(?:prompt|text|content|question|query|message|input)s?['\"]?[ ]{0,2}[:=][ ]{0,2}b?(['\"])")
_OPENED = re.compile(_OPENS.pattern + rb"\Z")
_OPENING = 20
#: What stands right before that quote.
_BEFORE = np.zeros(256, dtype=np.bool_)
_BEFORE[list(b":= b")] = True
_ENDS = re.compile(rb"[ \t]{0,8}(?:[,)}\]]|\r?\n|$)")
#: Bytes and lines of a prompt at the most.
MOST, LINES = 1 << 15, 400


def prompted(text: bytes) -> bool:
    """Whether a piece of a log holds a prompt at all."""
    return _OPENS.search(text) is not None


def inside(text: bytes | bytearray, stop: int) -> Iterator[tuple[int, int]]:
    """Stretches of text[:stop] whose lines begin inside a prompt: from the first such line to the end of the one that closes it.

    Every byte is looked at a bounded number of times: `open` remembers up to where no quote closes.
    """
    behind = 0
    open = {b"'": 0, b'"': 0}
    for place, begin in _openings(text, stop):
        if place < behind:
            continue
        quote = bytes(text[begin - 1 : begin])
        line = text.find(b"\n", begin, stop) + 1 or stop
        end = min(stop, begin + MOST)
        close = _closes(text, max(begin, open[quote]), end, quote)
        open[quote] = end if close < 0 else close
        behind = close + 1 if 0 <= close < line else line
        if close >= line and text.count(b"\n", line, close) < LINES:
            behind = text.find(b"\n", close, stop) + 1 or stop
            yield line, behind


def _openings(text: bytes | bytearray, stop: int) -> Iterator[tuple[int, int]]:
    """Where the name of a field for user text begins whose quote opens, and where the text behind that quote begins.

    Quotes are found first, all at once: most stand behind none of the bytes that a field's quote stands behind.
    """
    seen = np.frombuffer(text, dtype=np.uint8, count=stop)
    quotes = np.flatnonzero((seen == ord("'")) | (seen == ord('"')))
    quotes = quotes[quotes > 0]
    for quote in quotes[_BEFORE[seen[quotes - 1]]].tolist():
        found = _OPENED.search(text, max(0, quote - _OPENING), quote + 1)
        if found is not None:
            yield found.start(), quote + 1


def _closes(text: bytes | bytearray, begin: int, end: int, quote: bytes) -> int:
    """The first quote from there on that closes a string; -1 where there is none before `end`."""
    at = text.find(quote, begin, end)
    while at >= 0:
        escapes = at
        while escapes > begin and text[escapes - 1] == ord("\\"):
            escapes -= 1
        if (at - escapes) % 2 == 0 and _ENDS.match(text, at + 1, end):
            return at
        at = text.find(quote, at + 1, end)
    return -1
