"""Pages of the manual that are made from what the code declares: a page a check, cause, law and format."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sdtrace.checks import CHECKS
from sdtrace.readers.reader import Reader
from sdtrace.readers.registry import registered
from sdtrace.render.text import sentence
from sdtrace.results.cause_words import WORDS
from sdtrace.results.check import Check
from sdtrace.results.explains import EDGES
from sdtrace.results.refutations import refutation
from sdtrace.verify import laws
from sdtrace.verify.law import Law

#: Headings inside the text of a check.
_HEADING = re.compile(r"^(What it finds|Why it matters|What to do|How it can be wrong)$", re.MULTILINE)

Kind = Literal["topic", "command", "check", "cause", "law", "format"]


@dataclass(frozen=True)
class Page:
    """One page: what it is about, its name in `sdtrace help NAME` and in a link, its title, its Markdown, another name."""

    kind: Kind
    name: str
    title: str
    markdown: str
    also: str = ""


def generated() -> Iterator[Page]:
    """Every page that needs no author: checks, causes, laws, formats."""
    yield from map(check, CHECKS)
    yield from map(cause, WORDS)
    yield from map(_law, laws.LAWS.values())
    yield from map(_format, registered().values())


def check(check: Check) -> Page:
    """The page of a check: its text, the laws that it is valid for, the columns that it needs, what it proves."""
    valid = "any law" if check.laws is None else ", ".join(sorted(check.laws)) or "none"
    needs = ", ".join(f"`{name}`" for name in check.needs) or "nothing beyond the step itself"
    causes = [name for name, words in WORDS.items() if words.check == check.code]
    proves = f"- Proves: {', '.join(causes)}\n" if causes else ""
    told = _HEADING.sub(r"\n## \1\n", check.text.strip())
    text = f"# {check.code} {check.name}\n\n{told}\n\n## Facts\n\n- Laws: {valid}\n- Needs: {needs}\n{proves}"
    return Page("check", check.code.lower(), f"{check.code} {check.name}", text, check.name)


def cause(name: str) -> Page:
    """The page of a cause: side, whom it points at, what it says, what to do, what would refute it."""
    words = WORDS[name]
    text = (
        f"# {name}\n\n{sentence(words.says)}\n\n- Side: {words.side}\n- Points at: {words.blame}\n"
        f"- What to do: {sentence(words.advice)}\n- What would refute it: {refutation(name, words.side).in_line(': ')}\n"
    )
    proof = f"- Proved by: {words.check} (`sdtrace help {words.check}`)\n" if words.check else ""
    signs = [f"{edge.sign} ({edge.why})" for edge in EDGES if edge.root == name]
    roots = [edge.root for edge in EDGES if edge.sign == name]
    told = f"- Explains: {'; '.join(signs)}\n" if signs else ""
    told += f"- Can be a sign of: {', '.join(roots)}\n" if roots else ""
    return Page("cause", name, name, text + proof + told)


def _law(law: Law) -> Page:
    """The text of a law is that of the module that declares it."""
    text = f"# {law.name}\n\n{_documented(law).strip()}\n"
    return Page("law", law.name, f"{law.name} (verification rule)", text)


def _documented(law: Law) -> str:
    for info in pkgutil.iter_modules(laws.__path__):
        module = importlib.import_module(f"{laws.__name__}.{info.name}")
        if law in [held for held in vars(module).values() if isinstance(held, Law)]:
            return module.__doc__ or ""
    return ""


def _format(reader: Reader) -> Page:
    """What a reader reads, and by what it knows an input."""
    engine = f"- Engine: {reader.engine}\n" if reader.engine else ""
    text = f"# {reader.name}\n\n{sentence(reader.says)}\n\n{engine}- Recognised by: {reader.looks_for}\n"
    return Page("format", reader.name, f"{reader.name} (input format)", text)
