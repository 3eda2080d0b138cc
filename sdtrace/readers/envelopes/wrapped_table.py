"""Rows of a Markdown table that were cut at a width are one line again: a row has as many bars as the line under the heading."""

import re
from itertools import pairwise

from sdtrace.readers.envelopes.text import Bare, Envelope, Lines

_RULE = re.compile(r"^\s*\|[\s:]*-[-|:\s]*$")
_REST = re.compile(r"^[-|:\s]+$")
#: Lines of a row at the most.
ROW = 16


def wrapped(lines: Lines) -> Bare | None:
    """The text with whole rows; None where no table was cut."""
    found = next((i for i, (_, text) in enumerate(lines) if _RULE.match(text)), None)
    if found is None:
        return None
    stop = found + 1
    while stop < len(lines) and stop < found + ROW and _REST.match(lines[stop][1]) and not _ends(lines, found, stop):
        stop += 1
    bars = sum(text.count("|") for _, text in lines[found:stop])
    width = max(len(text) for _, text in lines)
    begin = found
    while begin > 0 and found - begin < ROW and sum(text.count("|") for _, text in lines[begin:found]) < bars:
        begin -= 1
    heading = lines[begin:found]
    if bars < 3 or sum(text.count("|") for _, text in heading) != bars or not heading[0][1].lstrip().startswith("|"):
        return None
    made: Lines = [*lines[:begin], _one(heading, width), _one(lines[found:stop], width)]
    i = stop
    while i < len(lines):
        end = _row(lines, i, bars) if lines[i][1].lstrip().startswith("|") else i + 1
        made.append(_one(lines[i:end], width))
        i = end
    return Bare(made) if len(made) < len(lines) else None


def _ends(lines: Lines, start: int, stop: int) -> bool:
    """Whether the rule is whole: it ends with a bar, and what follows begins a row with words in it."""
    return lines[stop - 1][1].rstrip().endswith("|") and not _REST.match(lines[stop][1])


def _row(lines: Lines, start: int, bars: int) -> int:
    """The line behind a row: where its bars are all there. One line on where they never are."""
    held = 0
    for i in range(start, min(start + ROW, len(lines))):
        held += lines[i][1].count("|")
        if held == bars and lines[i][1].rstrip().endswith("|"):
            return i + 1
        if held > bars:
            break
    return start + 1


def _one(parts: Lines, width: int) -> tuple[int, str]:
    """Parts put together: as they are where they end at the edge, with a blank where a word had no room."""
    text = parts[0][1]
    for (_, before), (_, part) in pairwise(parts):
        text += ("" if len(before) >= width else " ") + part
    return parts[0][0], text


ENVELOPES = (Envelope("wrapped table", lambda text: "|" in text and "---" in text, wrapped),)
