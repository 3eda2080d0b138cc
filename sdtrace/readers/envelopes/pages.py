"""Indented answers of a log store one behind the other, as a command that asks page by page writes them."""

from collections.abc import Iterator
from itertools import pairwise

import orjson

from sdtrace.readers.envelopes.exports import Entry, entries, in_order
from sdtrace.readers.envelopes.text import Bare, Envelope, Lines, begins


def pages(lines: Lines) -> Bare | None:
    """The entries of every page; the lines of a page that was cut stay as they are, for a reader to say what they are."""
    found: list[tuple[int, Entry]] = []
    left: Lines = []
    for part in _parts(lines):
        mine = _page("\n".join(text for _, text in part))
        found += [(part[0][0], entry) for entry in mine]
        left += [] if mine else part
    return Bare([*in_order(found), *left]) if found else None


def _parts(lines: Lines) -> Iterator[Lines]:
    """The lines cut where one document closes at the beginning of a line and the next one opens."""
    full = [(n, text) for n, text in lines if text.strip()]
    ends = [i for i, ((_, a), (_, b)) in enumerate(pairwise(full), start=1) if a[:1] in "}]" and b[:1] in "{["]
    for start, end in pairwise([0, *ends, len(full)]):
        yield full[start:end]


def _page(text: str) -> list[Entry]:
    """The entries of one document; [] where it is cut or no store's."""
    try:
        return entries(orjson.loads(text))
    except orjson.JSONDecodeError:
        return []


ENVELOPES = (Envelope("pages of a log store", begins("{\n", "[\n", "{\r", "[\r"), pages),)
