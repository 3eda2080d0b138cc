"""Lines that a terminal, a mail or a page cut at its width are put together again.

A text has records of one kind, told by its first lines; a console's table of labels is of none and stays as it is. A line
that begins like no record goes on from the line before, if its first word had no room left there. At a hard edge the parts
are joined as they are (a blank at the edge may be lost), between words with a blank.
"""

import re
from itertools import pairwise

from sdtrace.readers.envelopes.text import Bare, Envelope, Lines, full

_METRICS = r"(?:ray_)?(?:vllm|sglang|llamacpp|trtllm|lmdeploy|tgi|tokenspeed)[:_]"
#: How records begin: with a sign of JSON, an event, a metric or a table, with a stamp or a level ...
_SIGNS = re.compile(
    rf"^(?:\s*(?:\{{\"|\[\{{|\[\"|[|│┃])|data: |event: |{_METRICS}|# (?:TYPE|HELP) "
    r"|[\s>]*(?:[\[(]?\d{4}-\d\d-\d\d|\[\d\d[/:]|\[TRT-LLM\]|\([A-Za-z_][\w ]{0,40} pid=|\(?(?:INFO|DEBUG|WARNING|ERROR|CRITICAL)[ :]"
    r"|\d+\.\d\d\.\d{3}\.\d{3} |[A-Z][a-z]{2} +\d{1,2} \d\d:|time=\S|[\w.-]{1,60} +\| |\[pod/))"
)
#: ... or, where a text has none of those, with the words of an engine.
_WORDS = re.compile(
    r"^\s*(?:slot +\w|srv +\w|spec +\w|main: |prompt eval time|eval time|total time|draft acceptance|acc per pos|statistics +\S"
    r"|common_|llama_|llama-|SpecDecoding|Speculative metrics|Decode batch|Avg prompt|Observed |[\w.-]+ +pred=)"
)
_OURS = re.compile(
    r"acceptance|accept len|SpecDecoding|Decode batch|eval time|#acc |_total|draft_n|spec_|throughput|accept_len|iter = |drafted"
    r"|accepted|pos accept|_tokens"
)
#: How a record ends that was not cut.
_WHOLE = re.compile(
    r"(?:rate: \d+\.\d+%|#queue-req: \d+,?|per second\)|generated\)|\} -?[\d.e+]+|```)$|^\s*[{\[].*[}\]]$"
)
#: ... if what follows is not the rest of a number.
_NUMBER = re.compile(r"[\d.,e+%]{1,16}")
#: Narrower than this nothing wraps that we read.
NARROW = 40
#: In a text of more lines than these one cut may be chance.
FEW = 12
#: Blanks between two words of a padded table, which go where a line is broken there.
BLANKS = 6


def wrapped(lines: Lines) -> Bare | None:
    """The text with cut lines put together; None where it was not cut."""
    known = [text for _, text in full(lines)]
    width = max((len(text) for text in known), default=0)
    begins = _begins(known)
    if begins is None or width < NARROW or len(known) < 2 or all(begins.match(text) for text in known):
        return None
    soft = [_soft(a, b, width, begins) for (_, a), (_, b) in pairwise(lines)]
    hard = [_hard(a, b, width, begins) for (_, a), (_, b) in pairwise(lines)]
    edges = sum(len(text) == width and not _WHOLE.search(text) for _, text in lines[:-1])
    least = 1 if len(known) <= FEW else 2
    headless = sum(bool(b.strip()) and not begins.match(b) for _, b in lines[1:])
    if sum(hard) >= least and sum(hard) >= 0.7 * edges and (sum(hard) >= 0.8 * sum(soft) or sum(soft) < 0.9 * headless):
        return _joined(lines, hard, width)
    if sum(soft) < 0.9 * headless:  # other text without a head stands there too: only an engine's own lines go on
        soft = [cut and bool(_OURS.search(text)) for cut, (_, text) in zip(soft, lines, strict=False)]
    return _joined(lines, soft, None) if sum(soft) >= least else None


def _begins(known: list[str]) -> re.Pattern[str] | None:
    """How the records of a text begin; None where none of its lines begins like one."""
    return next((kind for kind in (_SIGNS, _WORDS) if any(kind.match(text) for text in known[:200])), None)


def _hard(text: str, following: str, width: int, begins: re.Pattern[str]) -> bool:
    """Whether a line ends at the edge, one blank before it at the most, and the next one begins no record."""
    whole = _WHOLE.search(text) and not _NUMBER.fullmatch(following)
    at_edge = width - 1 <= len(text) <= width and not whole
    return at_edge and bool(following.strip()) and not begins.match(following) and not following.startswith("```")


def _soft(text: str, following: str, width: int, begins: re.Pattern[str]) -> bool:
    """Whether the first word of the next line, which begins no record, had no room left."""
    if (
        not text.strip()
        or text.startswith("# ")
        or not following.strip()
        or begins.match(following)
        or _WHOLE.search(text)
    ):
        return False
    return len(text) + BLANKS + len(following.split(maxsplit=1)[0]) > width


def _joined(lines: Lines, goes_on: list[bool], edge: int | None) -> Bare | None:
    made: Lines = [lines[0]]
    for (n, text), cut, (_, before) in zip(lines[1:], goes_on, lines, strict=False):
        if not cut:
            made.append((n, text))
        elif edge is None:
            made[-1] = made[-1][0], f"{made[-1][1].rstrip()} {text.lstrip()}"
        else:
            blank = "" if text[:1] == " " or (len(before) == edge and before[-1] not in ":,") else " "
            made[-1] = made[-1][0], f"{made[-1][1]}{blank}{text}"
    return Bare(made) if any(_OURS.search(text) for _, text in made) else None


ENVELOPES = (Envelope("wrapped lines", lambda text: "\n" in text.strip(), wrapped),)
