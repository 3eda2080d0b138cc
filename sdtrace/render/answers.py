"""Questions in one's own words: which part of the manual answers best."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import log

from sdtrace.render.pages import Page

#: Words that tell no question from another.
_COMMON = frozenset(
    re.findall(
        r"\w+",
        """a about all am an and any are as at be by can could do does for from get give gives good has have how i if in into is it
        its me mean means my of on one or our say says should show so tell that the their them then there they this to use was we
        what when where which who why will with would you your sdtrace""",
    )
)
#: What a word of a title, of a heading and of the text counts; a question of the page on questions is asked as people ask.
_TITLE, _HEADING, _ASKED = 2.0, 3.0, 2.0
#: Parts that are named.
BEST = 5


@dataclass(frozen=True)
class Part:
    """A part of a page below one heading; the first part of a page has that of the page."""

    page: Page
    heading: str
    markdown: str


def answers(pages: Iterable[Page], question: str) -> list[Part]:
    """The parts that hold the words of the question, the best first; empty where no word of it is in the manual.

    A word counts by how few parts hold it (log of the inverse share), more in a heading than in the text.
    """
    words = _words(question)
    parts = [part for page in pages for part in _parts(page)]
    held = [(part, _words(part.page.title), _words(part.heading), _words(part.markdown)) for part in parts]
    weight = {}
    for word in words:
        count = sum(word in text or word in heading for _, _, heading, text in held)
        if count:
            weight[word] = log(1 + len(parts) / count)
    scored = []
    for part, title, heading, text in held:
        score = sum(
            w * ((word in text) + _TITLE * (word in title) + _HEADING * (word in heading)) for word, w in weight.items()
        )
        covered = sum(w for word, w in weight.items() if word in text | heading | title)
        if score:
            asked = _ASKED if part.page.name == "questions" else 1.0
            scored.append((score * asked * (covered / sum(weight.values())) ** 2, part))
    scored.sort(key=lambda row: -row[0])
    return [part for _, part in scored[:BEST]]


def _parts(page: Page) -> list[Part]:
    """The page cut at its headings of the second level."""
    first, *rest = re.split(r"^## ", page.markdown, flags=re.MULTILINE)
    parts = [Part(page, page.title, first)]
    return parts + [Part(page, text.partition("\n")[0], f"## {text}") for text in rest]


def _words(text: str) -> set[str]:
    """Its words that tell something, without the endings that English changes most."""
    found = re.findall(r"[a-z0-9]+(?:[-_.][a-z0-9]+)*", text.lower())
    whole = {word for word in found if word not in _COMMON}
    return {_stem(word) for word in whole | {piece for word in whole for piece in re.split(r"[-_.]", word)}} - {
        "",
        *_COMMON,
    }


def _stem(word: str) -> str:
    word = word.removesuffix("s")
    for ending in ("ance", "ing", "ed", "e"):
        if word.endswith(ending) and len(word) - len(ending) > 3:
            return word.removesuffix(ending)
    return word
