"""A page says it in few words, once, and a command on it is one line that can be copied."""

import re
from html import unescape
from pathlib import Path

import pytest

from sdtrace.api import report, tune
from sdtrace.render import html

SAMPLES = Path(__file__).parents[2] / "sample_logs"
#: Words of a page: its tables and chips, and what its charts say to a pointer, included.
MOST = 4000


@pytest.fixture(scope="module")
def page() -> str:
    return html.page(report(SAMPLES / "transformers-lenient-0.8.planted.jsonl.gz")).decode()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wrong", "tune", "log"])
def test_few_words(kind: str, page: str) -> None:
    text = {"wrong": lambda: page, "tune": _tuned, "log": _logged}[kind]()
    text = re.sub(r"<(script|style).*?</\1>", " ", text, flags=re.DOTALL)
    assert len(unescape(re.sub(r"<[^>]+>", " ", text)).split()) <= MOST
    long = re.findall(r"[A-Z][^.<>]{80,}\.", unescape(re.sub(r"<[^>]+>", "<>", text)))
    assert [s for s in set(long) if long.count(s) > 2] == [], "no sentence stands three times"


def _tuned() -> str:
    return html.page(tune(SAMPLES / "transformers-greedy.jsonl.gz")).decode()


def _logged() -> str:
    return html.page(report(SAMPLES / "vllm-server.log.gz")).decode()


def test_a_sentence_that_ends_in_a_command_has_one() -> None:
    """The command of the advice is not shown again: what would change the finding points at it."""
    found = html.page(report(SAMPLES / "change" / "tau-6.jsonl.gz")).decode()
    said = re.findall(r"What would change this:</strong> ([^<]*)</p>\s*(<pre)?", found)
    assert said
    assert all(text.endswith(":") == bool(shown) for text, shown in said), said


def test_commands_are_whole_lines(page: str) -> None:
    """In a block that scrolls: a phone breaks no command at its hyphens."""
    commands = re.findall(r'<pre class="command[^"]*" tabindex="0"><code>([^<]*)</code></pre>', page)
    assert len(commands) >= 2
    assert all(unescape(c).startswith("sdtrace ") and "\n" not in c for c in commands)
    assert "<code>sdtrace" not in re.sub(r"<pre.*?</pre>", "", page, flags=re.DOTALL)
    assert re.search(r"\.command[^{]*\{[^}]*white-space: pre;[^}]*overflow-x: auto", page)
