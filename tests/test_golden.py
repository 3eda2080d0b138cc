"""What the samples say, word for word: terminal, JSON and page. `SDTRACE_GOLDEN=write` renews the files after a change
that was meant; the difference is then reviewed like code."""

import os
import re
from pathlib import Path

import pytest

from sdtrace.api import explain, report
from sdtrace.render import html, json, terminal
from sdtrace.version import VERSION

TOP = Path(__file__).parents[1]
GOLDEN = Path(__file__).parent / "golden"

SAMPLES = [
    "transformers-sampled.jsonl.gz",
    "transformers-greedy.jsonl.gz",
    "transformers-lenient-0.8.planted.jsonl.gz",
]


def same(name: str, text: str | bytes) -> None:
    file = GOLDEN / name
    text = text.decode() if isinstance(text, bytes) else text
    text = re.sub(rf"\b{re.escape(VERSION)}\b", "VERSION", text)
    # another processor may add in another order
    text = re.sub(r"-?\d+\.\d{7,}(e-?\d+)?", lambda found: f"{float(found[0]):.6g}", text)
    if os.environ.get("SDTRACE_GOLDEN") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
    assert text == file.read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def from_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(TOP)


@pytest.mark.parametrize("sample", SAMPLES)
def test_samples_on_the_terminal_and_as_json(sample: str) -> None:
    result = report(f"sample_logs/{sample}")
    name = sample.removesuffix(".jsonl.gz")
    same(f"{name}.txt", terminal.summary(result, width=100, color=False, verbose=True))
    same(f"{name}.json", json.dumps(result))


def test_the_page_of_a_small_case() -> None:
    result = report("sample_logs/paper-case.csv")
    page = html.page(result)
    same("paper-case.html", page)
    assert page == html.page(report("sample_logs/paper-case.csv"))


def test_the_reasoning_of_the_paper_case() -> None:
    steps = explain("sample_logs/paper-case.csv")
    same("paper-case.explain.json", json.document(steps))
