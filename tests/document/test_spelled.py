"""Tokens as text: only where asked for, escaped, with an error that says the way out where the library or the file is missing."""

import html as escapes
import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from sdtrace.api import explain, report
from sdtrace.cli import run
from sdtrace.errors import MissingExtraError, UsageError
from sdtrace.render import html
from sdtrace.render.text import visible
from tests.made.simulate import Scenario, simulate

WORDS = ["<script>alert(1)</script>", " the", "\n", "\u202ecod", "<b>bold</b>", "{{7*7}}", "naïve", "\x1b[31m"]


def tokenizer(folder: Path) -> Path:
    """A tokenizer whose words are hostile, by the library itself."""
    library = pytest.importorskip("tokenizers", reason="needs the extra text")
    vocab = {f"{word} {i}" if i >= len(WORDS) else word: i for i, word in enumerate(WORDS * 20)}
    made = library.Tokenizer(library.models.WordLevel(vocab, unk_token=WORDS[0]))
    folder.mkdir(exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(Scenario(fault="lenience-0.7")).write(tmp_path_factory.mktemp("spelled") / "trace.jsonl")


def test_the_viewer_shows_escaped_text(trace: Path, tmp_path: Path) -> None:
    found = report(trace, tokenizer=str(tokenizer(tmp_path / "model")), text=True)
    page = html.page(found).decode()
    assert len(re.findall("<script", page)) == 1
    assert "\u202e" not in page
    assert "\x1b" not in page
    texts = [t["text"] for v in found.viewer for s in v.steps for t in s["tokens"]]
    assert len(set(texts)) > 3
    assert all(str(escapes.escape(visible(text, 16))) in page for text in texts if text.isalnum())
    assert "their text are in this page" in page


def test_no_text_without_asking(trace: Path, tmp_path: Path) -> None:
    """The tokenizer alone looks for corrupt text and shows nothing."""
    folder = str(tokenizer(tmp_path / "model"))
    for found in (report(trace, tokenizer=folder), report(trace, tokenizer=folder, ids=True)):
        assert not found.text
        assert all("text" not in t for v in found.viewer for s in v.steps for t in s["tokens"])
        assert "naïve" not in html.page(found).decode()


def test_explain_shows_text(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, (first,) = tokenizer(tmp_path / "model"), report(trace).viewer[:1]
    document = explain(trace, request=first.request_id, step=first.steps[0]["step"], tokenizer=str(folder))
    words = [t["text"] for t in document["steps"][0]["tokens"]]
    args = ["explain", str(trace), "--request", first.request_id, "--step", str(first.steps[0]["step"])]
    assert run([*args, "--tokenizer", str(folder), "--content", "text"]) == 0
    assert visible(words[0], 24) in capsys.readouterr().out
    assert run(args) == 0
    assert visible(words[0], 24) not in capsys.readouterr().out
    assert run([*args, "--content", "text"]) == 2
    assert "--tokenizer FOLDER" in capsys.readouterr().err


def test_what_is_missing_is_said(trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"model": {"type": "WordLevel", "vocab": {"a": 0}}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(table))
    with pytest.raises(UsageError, match="text needs a tokenizer"):
        report(trace, text=True)

    def absent(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(MissingExtraError, match="tokenizers library is not installed") as caught:
        report(trace, tokenizer=str(tmp_path), text=True)
    assert "sdtrace[text]" in str(caught.value.hint)


def test_a_file_that_is_no_tokenizer(trace: Path, tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="needs the extra text")
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"type": "no such model", "vocab": {"a": 0}}}))
    with pytest.raises(UsageError, match="cannot be used"):
        report(trace, tokenizer=str(tmp_path), text=True)
