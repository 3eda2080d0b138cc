"""Answers that are known by their text: the engine makes ids of it and back; what does not come back is left out."""

from pathlib import Path
from typing import Any

import pytest

from sdtrace.api import replay
from sdtrace.cli import run
from sdtrace.errors import NoInputError
from tests.made import fake_llamacpp
from tests.made.engine_inputs import CANARY, answers
from tests.made.fake_engine import Engine, serving
from tests.made.fake_llamacpp import LlamaCpp
from tests.made.pairs import in_turn

KEY = "sk-canary-0123456789abcdef"


@pytest.mark.one_of(2)
@pytest.mark.parametrize(("llamacpp", "chat"), in_turn([False, True], [False, True], of=2))
def test_texts_become_ids(chat: bool, llamacpp: bool, tmp_path: Path) -> None:
    engine = LlamaCpp() if llamacpp else Engine()
    file = answers(tmp_path / "r.jsonl", Engine(k=0), chat=chat)
    with fake_llamacpp.serving(engine) if isinstance(engine, LlamaCpp) else serving(engine) as url:
        found = replay(file, verifier=url)
    assert found.document["causes"] == []
    assert found.document["replay"]["requests"] == 8
    assert found.document["replay"]["greedy"]["tokens"] == 8 * 24
    assert found.document["replay"]["tokenised"] == 8
    assert found.document["verdict"]["coverage"]["correctness"] == "too-little"


@pytest.mark.one_of(2)
@pytest.mark.parametrize("fault", ["stale", "swapped"])
def test_what_only_a_text_shows_is_suspected(fault: str, tmp_path: Path) -> None:
    """Other tokens may have been emitted than those that the engine makes of the text."""
    file = answers(tmp_path / "r.jsonl", Engine(fault=fault))
    with serving(Engine()) as url:
        found = replay(file, verifier=url).document
    assert [(c["cause"], c["certainty"]) for c in found["causes"]] == [("greedy-mismatch", "suspected")]
    assert found["verdict"]["state"] == "cannot-tell"


@pytest.mark.one_of(4)
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"usage": {"prompt_tokens": 5, "completion_tokens": 23}}, "another number of tokens of the text"),
        ({"usage": {"prompt_tokens": 6, "completion_tokens": 24}}, "another number of tokens of the prompt"),
        ({"usage": {}}, "is not recorded"),
        ({"choices": [{"index": 0, "finish_reason": "length", "text": " a b" * 12}]}, "is not the recorded one"),
    ],
)
def test_what_does_not_come_back_is_left_out(change: dict[str, Any], why: str, tmp_path: Path) -> None:
    file = answers(tmp_path / "r.jsonl", Engine(), **change)
    with serving(Engine()) as url, pytest.raises(NoInputError, match=why):
        replay(file, verifier=url)


@pytest.mark.slow
def test_no_text_and_no_key_gets_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SDTRACE_API_KEY", KEY)
    file = answers(tmp_path / "r.jsonl", Engine(), chat=True)
    out = {name: tmp_path / f"out.{name}" for name in ("html", "json", "md", "cert")}
    with serving(Engine(key=KEY)) as url:
        code = run([
            "replay", str(file), "--verifier", url, "-o", str(out["html"]), "--json", str(out["json"]), "--markdown", str(out["md"]),
            "--certificate", str(out["cert"]), "--state", str(tmp_path / "state"),
        ])  # fmt: skip
    assert code == 0
    kept = [*out.values(), *(tmp_path / "state").iterdir()]
    written = "".join(f.read_text() for f in kept) + "".join(capsys.readouterr())
    assert CANARY not in written
    assert KEY not in written
    assert " w1" not in out["json"].read_text()
