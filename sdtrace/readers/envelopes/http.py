"""Heads of HTTP answers that `curl -i` and `curl -v` print before the body."""

import re

from sdtrace.readers.envelopes.text import Bare, Envelope, Lines, full, holds

_STATUS = re.compile(r"^(?:< ?)?HTTP/\d(?:\.\d)? \d{3}\b")
_VERBOSE = re.compile(r"^(?:[*<>] |[*<>]$|[{}] \[\d+ bytes)")


def heads(lines: Lines) -> Bare | None:
    """From a status line to the blank line behind it; of `-v` also the lines about the connection."""
    inside = full(lines)
    verbose = any(text.startswith("< HTTP/") for _, text in inside[:60])
    if not inside or not (verbose or _STATUS.match(inside[0][1])):
        return None
    kept: Lines = []
    head = False
    for n, text in lines:
        if _STATUS.match(text):
            head = True
        elif (head and not verbose and not text.strip()) or (verbose and _VERBOSE.match(text)):
            head = False
        elif not head or verbose:
            kept.append((n, text))
    return Bare(kept, len(lines) - len(kept))


ENVELOPES = (Envelope("HTTP head", holds("HTTP/"), heads),)
