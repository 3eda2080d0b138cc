"""JSON records that were cut at the width of a terminal, or between words, are one line again.

No string of JSON holds the end of a line, so a line that ends inside one was cut there; where every such line has one length,
it was cut at the edge, and what else ends there (a number, a name) was too. Only what is JSON afterwards and was not before is joined.
"""

import re
from itertools import pairwise

import orjson

from sdtrace.readers.envelopes.text import Bare, Envelope, Lines
from sdtrace.readers.envelopes.wrapped import lost_blank

_BEGINS = re.compile(r'^\s*(?:\{"|\{$|\[\{"|\[$)')
#: A string, or what opens and closes.
_SIGN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[{}\[\]]|\\$')
#: Lines and characters of a record at the most; characters (a line is at least _LINE) looked at in vain before only the next line is.
LINES, SIZE, VAIN = 4096, 1 << 22, 1 << 22
_LINE = 32


def wrapped(lines: Lines) -> Bare | None:
    """The text with every record that was cut on one line; None where none was."""
    width = max((len(text) for _, text in lines), default=0)
    made: Lines = []
    i = changed = vain = 0
    while i < len(lines):
        n, text = lines[i]
        ahead = LINES if vain < VAIN else 2
        cut = _BEGINS.match(text) and not _is_json(text)  # a line that is JSON closes all that it opens
        stop, looked = _end(lines, i, ahead) if cut else (i + 1, 0)
        one = _record([text for _, text in lines[i:stop]], width) if stop > i + 1 else None
        if one is None:
            made.append((n, text))
            i, vain = i + 1, vain + looked
        else:
            made.append((n, one))
            i, changed = stop, changed + 1
    return Bare(made) if changed else None


def _end(lines: Lines, start: int, ahead: int) -> tuple[int, int]:
    """The line behind the record that begins at `start`: where all that opened is closed within `ahead` lines, one line on where
    it is not; and how much was looked at behind the first line."""
    depth, inside, size = 0, False, 0
    for i in range(start, min(start + ahead, len(lines))):
        text = lines[i][1]
        size += max(len(text), _LINE) if i > start else 0
        if size > SIZE:
            break
        depth, inside = _state(text, depth, inside)
        if depth <= 0 and not inside:
            return i + 1, size
    return start + 1, size


def _state(text: str, depth: int, inside: bool) -> tuple[int, bool]:
    """How many brackets are open at the end of a line, and whether a string is."""
    for sign in _SIGN.findall(f'"{text}' if inside else text):
        if sign[0] == '"':
            inside = len(sign) == 1 or sign[-1] != '"' or bool(re.search(r'(?<!\\)(?:\\\\)*\\"$', sign))
        else:
            depth += {"{": 1, "[": 1}.get(sign, 0) - {"}": 1, "]": 1}.get(sign, 0)
            inside = False
    return depth, inside


def _record(parts: list[str], width: int) -> str | None:
    """One record of several lines; None where it is JSON as it stands, or is none however it is joined."""
    if _is_json("\n".join(parts)):
        return None
    depth, inside, edge = 0, False, True
    for part in parts[:-1]:
        depth, inside = _state(part, depth, inside)
        edge = edge and (not inside or len(part) >= width - 1)
    text = parts[0]
    for before, part in pairwise(parts):
        cut = edge and len(before) >= width - 1
        text += (lost_blank(before, part, at_edge=len(before) >= width) if cut else " ") + part
    return text if _is_json(text) else None


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


ENVELOPES = (Envelope("wrapped JSON", lambda text: "{" in text and "\n" in text.strip(), wrapped),)
