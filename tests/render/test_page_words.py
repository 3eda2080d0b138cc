"""A page says it in few words, once, and a command on it is one line that can be copied."""

import re
from html import unescape
from pathlib import Path

import pytest

from sdtrace.api import report
from sdtrace.render import html

SAMPLES = Path(__file__).parents[2] / "sample_logs"
#: Words of a page, its tables and chips included.
MOST = 4000


@pytest.fixture(scope="module")
def page() -> str:
    return html.page(report(SAMPLES / "transformers-lenient-0.8.planted.jsonl.gz")).decode()


@pytest.mark.slow
def test_few_words(page: str) -> None:
    text = re.sub(r"<(script|style|svg).*?</\1>", " ", page, flags=re.DOTALL)
    words = unescape(re.sub(r"<[^>]+>", " ", text)).split()
    assert len(words) <= MOST
    long = re.findall(r"[A-Z][^.<>]{80,}\.", unescape(re.sub(r"<[^>]+>", "<>", text)))
    assert [s for s in set(long) if long.count(s) > 2] == [], "no sentence stands three times"


def test_commands_are_whole_lines(page: str) -> None:
    """In a block that scrolls: a phone breaks no command at its hyphens."""
    commands = re.findall(r'<pre class="command[^"]*" tabindex="0"><code>([^<]*)</code></pre>', page)
    assert len(commands) >= 2
    assert all(unescape(c).startswith("sdtrace ") and "\n" not in c for c in commands)
    assert "<code>sdtrace" not in re.sub(r"<pre.*?</pre>", "", page, flags=re.DOTALL)
    assert re.search(r"\.command[^{]*\{[^}]*white-space: pre;[^}]*overflow-x: auto", page)
