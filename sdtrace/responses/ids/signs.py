"""Signs of a corrupt answer in its ids: each is a count that a sound answer has next to never, or as often without speculation."""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from sdtrace.responses.ids.table import Table

Sign = Literal["control", "no-entry", "script", "broken", "copy", "length"]

#: What each sign is, for people.
SAYS: dict[Sign, str] = {
    "control": "ids that begin, pad or are reserved stand in the middle of the answer",
    "no-entry": "ids that the tokenizer's table does not have",
    "script": "letters of another script inside a word",
    "broken": "bytes that make no character",
    "copy": "a number or identifier of the prompt is copied with one character wrong",
    "length": "the answer ends at its length limit",
}
#: How many of a sign in one answer are suspicious without anything to compare with; signs that are not here never are.
ALONE: dict[Sign, int] = {"control": 1, "no-entry": 1, "script": 2, "broken": 3}
#: Letters of these are written with blanks between words, and a word is of one of them. Greek is not here: µm, Δt.
_SPACED = ("LATIN", "CYRILLIC", "ARABIC", "HEBREW", "ARMENIAN", "GEORGIAN", "DEVANAGARI", "BENGALI", "TAMIL", "TELUGU")
_WORD = re.compile(r"[^\W\d_]+")
#: Bytes that no character has, as Python's decoder keeps them.
_BROKEN = re.compile("[\udc80-\udcff]+")
#: What copies are looked at: numbers of five digits and more, identifiers with a digit, an underscore or a capital inside.
_ITEM = re.compile(r"[A-Za-z_][A-Za-z0-9_]{7,63}|\d{5,32}")
_INNER = re.compile(r"[_0-9]|[a-z][A-Z]")
#: Items of a prompt that are looked at.
_ITEMS = 2_000


@dataclass
class Answer:
    """One request: its emitted ids in order, in stretches between which steps are missing, and what its line says."""

    run_id: str
    request_id: str
    path: str = ""
    stretches: list[list[int]] = field(default_factory=list)
    prompt: Sequence[int] | None = None
    speculation: bool | None = (
        None  #: as its run or its tags have it, never as its text came out; None where neither says
    )
    finish: str | None = None
    key: tuple[object, ...] = ()
    cached: bool | None = None
    batch: float | None = None


@dataclass
class Found:
    """Counts of an answer's signs; `first`: the place of the first one among its tokens; `copies`: items copied rightly."""

    counts: dict[Sign, int]
    first: dict[Sign, int]
    tokens: int
    copies: int = 0
    known: frozenset[Sign] = frozenset()  #: signs that could be looked for


def signs(answer: Answer, table: Table | None) -> Found:
    """What stands in one answer. Without a table, only how it ended can be told."""
    counts: dict[Sign, int] = {}
    first: dict[Sign, int] = {}
    tokens = sum(map(len, answer.stretches))
    known: set[Sign] = set()
    if answer.finish in ("stop", "length"):
        known.add("length")
        counts["length"] = int(answer.finish == "length")
    if table is None:
        return Found(counts, first, tokens, 0, frozenset(known))
    known |= {"control", "no-entry", "script", "broken"}
    said = frozenset(answer.prompt[1:]) if answer.prompt else frozenset()
    begin, texts = 0, []
    for i, ids in enumerate(answer.stretches):
        _ids(ids, begin, table, said, i + 1 == len(answer.stretches), counts, first)
        raw, starts = _bytes(ids, table)
        texts.append(_text(raw, starts, begin, counts, first))
        begin += len(ids)
    copies = 0
    if answer.prompt:
        known.add("copy")
        asked, _ = _bytes(answer.prompt, table)
        copies, counts["copy"] = _copies(asked.decode("utf-8", "ignore"), " ".join(texts))
    return Found(counts, first, tokens, copies, frozenset(known))


def _ids(
    ids: Sequence[int], begin: int, table: Table, said: frozenset[int], last: bool, counts: dict[Sign, int], first: dict[Sign, int]
) -> None:  # fmt: skip
    inside = len(ids) - 1 if last else len(ids)
    for place, token in enumerate(ids):
        sign: Sign | None = None
        if token not in table.bytes_of:
            sign = "no-entry"
        elif token in table.never and token not in said and place < inside:
            sign = "control"
        if sign is not None:
            counts[sign] = counts.get(sign, 0) + 1
            first.setdefault(sign, begin + place)


def _bytes(ids: Sequence[int], table: Table) -> tuple[bytes, list[int]]:
    """The bytes of ids, special ones as a line break, and where each begins."""
    parts, starts, at = [], [], 0
    for token in ids:
        part = b"\n" if token in table.special else table.bytes_of.get(token, b"\n")
        starts.append(at)
        parts.append(part)
        at += len(part)
    return b"".join(parts), starts


def _text(raw: bytes, starts: Sequence[int], begin: int, counts: dict[Sign, int], first: dict[Sign, int]) -> str:
    """The text of a stretch; what is broken at its ends may have its other half outside of it."""
    text = raw.decode("utf-8", "surrogateescape")
    wrong = [m for m in _BROKEN.finditer(text) if m.start() > 0 and m.end() < len(text)]
    if wrong:
        counts["broken"] = counts.get("broken", 0) + len(wrong)
        first.setdefault("broken", begin + _place(starts, _bytes_to(text, wrong[0].start())))
    for word in _WORD.finditer(text):
        if not word.group().isascii() and _foreign(word.group()):
            counts["script"] = counts.get("script", 0) + 1
            if "script" not in first:
                first["script"] = begin + _place(starts, _bytes_to(text, word.start()))
    return _BROKEN.sub("\ufffd", text)


def _bytes_to(text: str, at: int) -> int:
    return len(text[:at].encode("utf-8", "surrogateescape"))


def _place(starts: Sequence[int], at: int) -> int:
    return max(0, bisect_right(starts, at) - 1)


def _foreign(word: str) -> bool:
    """Whether a word goes from one spaced script to another and back."""
    seen: list[str] = []
    for letter in word:
        script = _script(letter)
        if script is not None and (not seen or seen[-1] != script):
            seen.append(script)
    return any(a == c and a in _SPACED and b in _SPACED for a, b, c in zip(seen, seen[1:], seen[2:], strict=False))


def _script(letter: str) -> str | None:
    if letter.isascii():
        return "LATIN"
    # ª, º and modifier letters stand in words of any script
    if unicodedata.category(letter) in ("Lm", "Lo") and unicodedata.name(letter, "").endswith("ORDINAL INDICATOR"):
        return None
    return unicodedata.name(letter, "").partition(" ")[0] or None


def _copies(asked: str, answer: str) -> tuple[int, int]:
    """(items of the prompt that the answer repeats, items that are one character away from one of them and from nothing else)."""
    known = set(_items(asked)[:_ITEMS])
    near: dict[str, str] = {}
    for item in known:
        for i in range(len(item)):
            near.setdefault(f"{item[:i]}\0{item[i + 1 :]}", item)
    right, wrong = 0, set()
    for item in _items(answer):
        if item in known:
            right += 1
        elif any(f"{item[:i]}\0{item[i + 1 :]}" in near for i in range(len(item))):
            wrong.add(item)
    return right, len(wrong)


def _items(text: str) -> list[str]:
    return [item for item in _ITEM.findall(text) if item[0].isdigit() or _INNER.search(item)]
