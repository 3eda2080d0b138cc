"""Exports that give the newest line first are turned: what an engine says of a line before it must stand before it."""

import re
from itertools import pairwise

from sdtrace.readers.envelopes.text import Bare, Envelope, Lines

_STAMP = re.compile(
    r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?)|\b(\d\d-\d\d \d\d:\d\d:\d\d)\b|(?:^|\s)(\d{1,6}\.\d\d\.\d{3}\.\d{3}) [IWED] "
)


def newest_first(lines: Lines) -> Bare | None:
    """The lines in the order of their stamps, where these fall; lines without a stamp stay behind the one they belong to."""
    found = [(i, stamp) for i, (_, text) in enumerate(lines) if (stamp := _stamp(text))]
    kinds = {kind for _, (kind, _) in found}
    if len(kinds) != 1:
        return None
    steps = [b > a for (_, (_, a)), (_, (_, b)) in pairwise(found) if a != b]
    if len(steps) < 2 or sum(steps) > 0.1 * len(steps):
        return None
    if found[0][0] > next((i for i, (_, text) in enumerate(lines) if text.strip()), 0):
        return Bare(lines[::-1])
    starts = [i for i, _ in found]
    groups = [lines[a:b] for a, b in pairwise([*starts, len(lines)])]
    return Bare([*lines[: starts[0]], *(line for group in reversed(groups) for line in group)])


def _stamp(text: str) -> tuple[int, str] | None:
    """(kind, sortable text) of the first stamp near the beginning of a line."""
    m = _STAMP.search(text[:120])
    if m is None or m.lastindex is None:
        return None
    return m.lastindex, m[m.lastindex].replace("T", " ").rjust(40, "0") if m.lastindex == 3 else m[m.lastindex].replace(
        "T", " "
    )


ENVELOPES = (Envelope("newest first", lambda text: True, newest_first),)
