"""Slips are met with the word that was meant, and sentences that puzzled people stay away."""

import re
from pathlib import Path

import pytest

from sdtrace.cli import run
from sdtrace.errors import nearest

TOP = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        (["reprot", "x.jsonl"], "report"),
        (["difff", "a", "b"], "diff"),
        (["checks", "lenient"], "lenient-acceptance"),
        (["checks", "wrong-decison"], "wrong-decision"),
        (["checks", "SD10"], "SD101"),
        (["simulate", "lenienc", "x.jsonl"], "lenience"),
        (["simulate", "healthy", "x.jsonl", "--variant", "chunked"], None),
    ],
)
def test_did_you_mean(slip: list[str], meant: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(slip) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert said.startswith("error: ")
    assert meant is None or f"did you mean {meant}?" in said


def test_a_word_that_is_like_none_lists_what_there_is() -> None:
    assert nearest("zzzz", ["one", "two"]) == "known: one, two"
    assert nearest("zzzz", ["one"], "ask for the list") == "ask for the list"


def test_causes_have_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["checks", "lenient-acceptance"]) == 0
    said = capsys.readouterr().out
    for word in ("What to do", "Points at: sampler", "Can be a sign of"):
        assert word in said
    assert run(["checks", "low-acceptance"]) == 0
    both = capsys.readouterr().out
    assert both.startswith("SD433")
    assert "Points at: drafter" in both


#: What was said before, and is said otherwise now.
GONE = (
    "are no probabilities", "that is drafted is accepted", "The bottleneck is", "Which term it is", "Which tau", "What to set",
    "In other engines' words", "Each step gained", "a side would settle", "is no time'", "no reader knows this", "No alarm stands",
    "nights known", "are told by content", "that nobody minds", "yet nothing is drafted",
)  # fmt: skip


def test_riddles_stay_away() -> None:
    """In what users read: sentences of the code (comments and docstrings aside), pages, the README."""
    files = [TOP / "README.md", *(TOP / "templates").rglob("*.html"), *(TOP / "templates").rglob("*.md")]
    texts = {path: path.read_text("utf-8") for path in files}
    for path in (TOP / "sdtrace").rglob("*.py"):
        code = re.sub(r'"""[\s\S]*?"""|#.*', "", path.read_text("utf-8"))
        texts[path] = code
    found = [(path.name, words) for path, text in texts.items() for words in GONE if words in text]
    assert not found
