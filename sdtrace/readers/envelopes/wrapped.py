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
    rf"^(?:\s*(?:\{{\"|\[\{{|\[\"|[|│┃])|data:|event: |{_METRICS}|# (?:TYPE|HELP) "
    r"|[\s>]*(?:[\[(]?\d{4}-\d\d-\d\d|\[\d\d[/:]|\[TRT-LLM\]|\([A-Za-z_][\w ]{0,40} pid=|\(?(?:INFO|DEBUG|WARNING|ERROR|CRITICAL)[ :]"
    r"|\d+\.\d\d\.\d{3}\.\d{3} |[A-Z][a-z]{2} +\d{1,2} \d\d:|time=\S|[\w.-]{1,60} +\| |\[pod/))"
)
#: ... or, where a text has none of those, with the words of an engine.
_WORDS = re.compile(
    r"^\s*(?:slot +\w|srv +\w|spec +\w|main: |prompt eval time|eval time|total time|draft acceptance|acc per pos|statistics +\S"
    r"|common_|llama_|llama-|SpecDecoding|Speculative metrics|Decode batch|Avg prompt|Observed |[\w.-]+ +pred=)"
)
#: ... or a console's table of labels, told by its heading.
_LABELS = re.compile(
    r"^\s*(?:=+ Serving Benchmark|=+$|-(?:-++(?:[\w ().]++-++)?|[\w ().]++-++)$|[A-Z][\w ()/%.,-]{2,40}:)"
)
#: A member of an indented document, or its end.
_MEMBER = re.compile(r'^\s{2,}"[^"]{1,80}": |^\s*[}\]]+,?$')
_OURS = re.compile(
    r"[Aa]cceptance|[Aa]ccept len|SpecDecoding|Decode batch|eval time|#acc |_total|draft_n|spec_|throughput|accept_len|iter = |drafted"
    r"|accepted|pos accept|_tokens|pred=|tok/s|[Aa]ccept length|print_timing|generation requests"
)
#: How a record ends that was not cut.
_WHOLE = re.compile(
    r"(?:rate: \d+\.\d+%|#queue-req: \d+,?|per second\)|generated\)|\} -?[\d.e+]+|```)$|^\s*[{\[].*[}\]]$"
)
#: ... if what follows is not the rest of a number.
_NUMBER = re.compile(r"[\d.,e+%]{1,16}(?: \d{1,16})?")
_LAST, _FIRST = re.compile(r"(?<![\w#./-])[\w#./-]++$"), re.compile(r"[\w#./-]+|\(token/s\)")
#: A line drawn across a console: it fills its line, and is no part of a text.
_RULE = re.compile(r"\s*+(?:={4,}+|-{4,}+|_{4,}+|\*{4,}+|~{4,}+|#{4,}+)\s*+")
#: The value of a metric, and its time.
_VALUE = re.compile(r"(?<![\d.])-?[\d.]++(?:e[+-]?\d{1,4})?(?: \d{1,20})?$")
#: Words of engines' lines that have a blank on either side.
_APART = """
Mean acceptance length: length Accepted throughput: throughput Drafted tokens tokens/s Per-position rate Avg
Draft generation prompt Running reqs Waiting GPU CPU KV cache usage Prefix hit Decode batch token accept len
cuda graph gen #queue-req #mean #acc #gen T/s #running-req draft accepted generated mean eval time ms per second statistics drafts
acc requests context iteration elapsed total System efficiency Number of speculative metrics SpecDecoding
Speculative INFO disabled is not pred acc tok/s rolling Rolling stats completed threshold over last new
n_tokens speed decode valid
"""
APART = frozenset(_APART.split())
#: No text of ours is narrower.
LEAST = 32
#: In a text of more lines than these one cut may be chance.
FEW = 12
#: Blanks between two words of a padded table, which go where a line is broken there.
BLANKS = 6


def wrapped(lines: Lines) -> Bare | None:
    """The text with cut lines put together; None where it was not cut. Blanks that pad a screen's lines to its width are no text."""
    lines = [(n, text.rstrip() if text.endswith("  ") else text) for n, text in lines]
    known = [text for _, text in full(lines)]
    width = max((len(text) for text in known), default=0)
    words = max((len(text) for text in known if " " in text.strip()), default=0)  # a word that fits nowhere stays whole
    begins = _begins(known)
    if (
        begins is None
        or words < LEAST
        or len(known) < 2
        or all(begins.match(text) for text in known if text != "data:")
    ):
        return None
    soft = [_soft(a, b, words, begins) for (_, a), (_, b) in pairwise(lines)]
    hard = [_hard(a, b, width, begins) for (_, a), (_, b) in pairwise(lines)]
    ours = [_ours(a, b, begins) for (_, a), (_, b) in pairwise(lines)]
    edges = sum(len(text) == width and not _WHOLE.search(text) for _, text in lines[:-1])
    headless = sum(
        bool(b.strip()) and not _starts(a, b, begins)
        for (_, a), (_, b) in pairwise(_behind_remarks(lines, begins, width))
    )
    # a cut between words ends lines before the edge; one at the edge ends every line there
    inside = sum(cut and len(text) < width - 1 for cut, (_, text) in zip(soft, lines, strict=False))
    if sum(hard) and sum(hard) >= 0.7 * edges and inside < 0.25 * sum(hard):
        return _joined(lines, hard, width) if _enough(hard, ours, known, lines) else None
    if sum(soft) < 0.9 * headless:  # other text without a head stands there too: only an engine's own lines go on
        soft = [cut and mine for cut, mine in zip(soft, ours, strict=True)]
    return _joined(lines, soft, None) if _enough(soft, ours, known, lines) else None


def _headless(known: list[str], begins: re.Pattern[str]) -> bool:
    """Whether a line begins like no record, or is a field of an event without its value."""
    return any(not begins.match(text) or text == "data:" for text in known)


def _behind_remarks(lines: Lines, begins: re.Pattern[str], width: int) -> Lines:
    """The lines from the first record on, where the remark above them was cut as well."""
    if not lines[0][1].startswith("# ") or len(lines[0][1]) > width:
        return lines
    first = next((i for i, (_, text) in enumerate(lines) if begins.match(text) and text[:2] != "# "), 0)
    return lines[first:]


def _starts(text: str, following: str, begins: re.Pattern[str]) -> bool:
    """Whether a line begins a record, or a member of an indented document; one that a bracket begins may be a value."""
    if _MEMBER.match(following) or following.startswith("```"):
        return True
    value = following[:1] in "{[" and text.rstrip()[-1:] in (":", ",", "[", "{")
    return bool(begins.match(following)) and not value


def _ours(text: str, following: str, begins: re.Pattern[str]) -> bool:
    """Whether a line of an engine goes on: it speaks of acceptance, or begins a record whose next line does."""
    return bool(_OURS.search(text) or (begins.match(text) and _OURS.search(following)))


def _enough(cuts: list[bool], ours: list[bool], known: list[str], lines: Lines) -> bool:
    """Whether cuts are no chance: two of them, one in a short text, or one in a line of an engine that goes on with no other."""
    if sum(cuts) >= (1 if len(known) <= FEW else 2):
        return True
    return any(cut and mine and not _WORDS.match(b) for cut, mine, (_, b) in zip(cuts, ours, lines[1:], strict=True))


def _begins(known: list[str]) -> re.Pattern[str] | None:
    """How the records of a text begin; None where none of its lines begins like one."""
    heading = any("Serving Benchmark" in text for text in known[:200])
    kinds = (_SIGNS, _WORDS, *((_LABELS,) if heading else ()))
    return next((kind for kind in kinds if any(kind.match(text) for text in known[:200])), None)


def _hard(text: str, following: str, width: int, begins: re.Pattern[str]) -> bool:
    """Whether a line ends at the edge, one blank before it at the most, and the next one begins no record."""
    if _RULE.fullmatch(text) or _RULE.fullmatch(following):
        return False
    whole = _WHOLE.search(text) and not (_NUMBER.fullmatch(following) or following[:1] == ",")
    at_edge = width - 1 <= len(text) <= width and not whole
    return at_edge and bool(following.strip()) and not _starts(text, following, begins)


def _soft(text: str, following: str, width: int, begins: re.Pattern[str]) -> bool:
    """Whether the first word of the next line, which begins no record, had no room left."""
    label = begins is _LABELS and text.rstrip()[-1:] == ":" and ":" not in following
    sample = text[-1:] == "}" and "{" in text and _VALUE.match(following)
    if label or sample or (text == "data:" and following.strip()):
        return True
    if (
        not text.strip()
        or _RULE.fullmatch(text)
        or _RULE.fullmatch(following)
        or text.startswith("# ")
        or not following.strip()
        or _starts(text, following, begins)
        or _WHOLE.search(text)
    ):
        return False
    return len(text) + BLANKS + len(following.split(maxsplit=1)[0]) > width


def _joined(lines: Lines, goes_on: list[bool], edge: int | None) -> Bare | None:
    pieces: list[tuple[int, list[str]]] = [(lines[0][0], [lines[0][1]])]
    for (n, text), cut, (_, before) in zip(lines[1:], goes_on, lines, strict=False):
        parts = pieces[-1][1]
        if not cut:
            pieces.append((n, [text]))
        elif edge is None:
            parts[-1] = parts[-1].rstrip()
            parts.append(f" {text.lstrip()}")
        else:
            parts.append(lost_blank(before, text, at_edge=len(before) == edge) + text)
    made = [(n, "".join(parts)) for n, parts in pieces]
    return Bare(made) if any(_OURS.search(text) for _, text in made) else None


def lost_blank(before: str, text: str, *, at_edge: bool) -> str:
    """What was lost at a hard edge: a blank where the line ends before it, or where two words meet that stand apart."""
    if text[:1] == " " or before[-1:] == " ":
        return ""
    if not at_edge or before[-1:] in ":," or before.endswith(" =") or text.startswith("= "):
        return " "
    last, first = _LAST.search(before), _FIRST.match(text)
    if last is None or first is None:
        return ""
    tail, head = last[0], first[0]
    apart = tail in APART or tail.replace(".", "").isdigit()
    if apart and (head in APART or re.match(r"[\w.]{1,40}=", text)) and tail + head not in APART:
        return " "
    return " " if tail in APART and text.startswith("(token") else ""


ENVELOPES = (Envelope("wrapped lines", lambda text: "\n" in text.strip(), wrapped),)
