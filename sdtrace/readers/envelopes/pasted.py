"""What copying puts around a text: quotes and fences of Markdown, entities of a web page, no-break spaces."""

import html
import re
from itertools import pairwise

from sdtrace.readers.envelopes.text import Bare, Envelope, Lines, begins, full, holds, share
from sdtrace.readers.json_value import parsed

_QUOTE, _FENCE = re.compile(r"^ {0,3}(?:> ?)+"), re.compile(r"^\s*(?:> ?)*(?:```|~~~)")
_BLANKS = dict.fromkeys((160, 5760, 8239, 8287, 12288, *range(8192, 8203)), " ")
_NUMBER = re.compile(r"^ {0,8}(\d{1,9}): ")
#: no-break and other blanks become a blank, characters without a width go
BLANKS: dict[int, str | None] = {**_BLANKS, **dict.fromkeys((0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))}
_ODD = re.compile("[" + "".join(chr(code) for code in BLANKS) + "]")
#: the same as JSON escapes them
_ESCAPED = re.compile(r"(?<!\\)(?:\\\\)*+\\u(00a0|1680|202f|205f|3000|200[0-9a-d]|2060|feff)", re.IGNORECASE)
#: words without which a line with odd blanks is a user's
_OURS = re.compile(
    r"accept|SpecDecoding|Speculative metrics|throughput|Decode batch|eval time|statistics |draft|_total\b|slot |tokens/s"
)
#: tqdm's bar, up to the bracket that ends it, where more stands behind
_BAR = re.compile(r"[^\r\n|]{0,80}\d{1,3}%\|[^|\r\n]{0,200}\|[^\]\r\n]{1,300}\](?=[\w(\[])")
#: a record of a trace, in whose strings a blank of any kind is data: ids and tags are compared exactly
_RECORD = re.compile(r'"kind"\s*:\s*"(?:run|request|step)"')


def quotes(lines: Lines) -> Bare | None:
    """`> ` off, where four lines of five are quoted; a program that prompts with `>` prints more than its prompts."""
    inside = full(lines)
    if share(inside, _QUOTE.match) < 0.8:
        return None
    return Bare([(n, _QUOTE.sub("", text, count=1)) for n, text in lines])


def numbered(lines: Lines) -> Bare | None:
    """`12: ` of an editor or of awk off, where the numbers rise from line to line: those of ranks come again, and begin at 0."""
    inside = full(lines)
    found = [_NUMBER.match(text) for _, text in inside]
    numbers = [int(m[1]) for m in found if m is not None]
    if len(numbers) < max(3, len(inside)) or numbers[0] < 1 or any(b <= a for a, b in pairwise(numbers)):
        return None
    return Bare([(n, _NUMBER.sub("", text, count=1)) for n, text in lines])


def fences(lines: Lines) -> Bare | None:
    """The lines that open and close a block of code are no part of it."""
    kept = [(n, text) for n, text in lines if not _FENCE.match(text)]
    return Bare(kept, len(lines) - len(kept)) if len(kept) < len(lines) else None


def blanks(lines: Lines) -> Bare | None:
    """Odd blanks of lines that an engine writes; what else holds them is somebody's text and stays."""
    if lines and lines[0][1].startswith("\ufeff"):
        lines = [(lines[0][0], lines[0][1][1:]), *lines[1:]]
        return blanks(lines) or Bare(lines)
    found = [(n, text.translate(BLANKS) if _ODD.search(text) and not _whole(text) else text) for n, text in lines]
    copied = share(full(lines), _ODD.search) >= 0.5  # a whole text came from a page
    changed = [
        (n, new if copied or new == old or _OURS.search(new) else old)
        for (n, new), (_, old) in zip(found, lines, strict=True)
    ]
    return Bare(changed) if any(a != b for a, b in zip(changed, lines, strict=True)) else None


def escaped(lines: Lines) -> Bare | None:
    """Odd blanks that JSON escapes, in a line of JSON that an engine's own words stand in."""
    made = []
    for n, text in lines:
        new = _ESCAPED.sub(_unescaped, text) if "\\u" in text and text.lstrip()[:1] in ("{", "[") else text
        made.append((n, text if new == text or _whole(text) or not _OURS.search(new) else new))
    return Bare(made) if any(a != b for a, b in zip(made, lines, strict=True)) else None


def _unescaped(match: re.Match[str]) -> str:
    return match[0][: -len(r"\u00a0")] + (BLANKS[int(match[1], 16)] or "")


def _whole(text: str) -> bool:
    """Whether a line is a record of a trace as it stands."""
    return _RECORD.search(text) is not None and parsed(text.encode("utf-8", "replace")) is not None


def drawn_over(lines: Lines) -> Bare | None:
    """A bar of progress that a terminal draws over, and the record that a program prints behind it, each on a line."""
    made = []
    for n, text in lines:
        bar = _BAR.match(text)
        parts = text.split("\r") if "\r" in text else [bar[0], text[bar.end() :]] if bar else [text]
        kept = [part for part in parts if part.strip() and not (len(parts) > 1 and _BAR.match(part + "("))]
        made += [(n, part) for part in kept or parts[-1:]]
    return Bare(made) if made != lines else None


def entities(lines: Lines) -> Bare | None:
    """Quotes and angle brackets that a web page escaped: the whole text has none of its own then."""
    if not any("&quot;" in text or "&#34;" in text for _, text in lines) or any('"' in text for _, text in lines):
        return None
    return Bare([(n, html.unescape(text)) for n, text in lines])


ENVELOPES = (
    Envelope("no-break spaces", lambda text: not text.isascii(), blanks),
    Envelope("escaped no-break spaces", holds(r"\u00a0", r"\u00A0", r"\u20", r"\u3000", r"\ufeff", r"\uFEFF"), escaped),
    Envelope("bars of progress", lambda text: "%|" in text or "\r" in text, drawn_over),
    Envelope("entities of HTML", holds("&quot;", "&#34;"), entities),
    Envelope("quotes of Markdown", holds(">"), quotes),
    Envelope("numbered lines", begins(*"123456789"), numbered),
)
LOOSE = (Envelope("fences of Markdown", holds("```", "~~~"), fences),)
