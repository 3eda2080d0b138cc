"""`--verifier vllm:MODEL`: vLLM's class stands where a server stands, and says the same of the same ids."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest

from sdtrace.api import replay
from sdtrace.cli import run
from sdtrace.errors import UsageError
from sdtrace.replay.engine import offline
from tests.made.engine_inputs import answers, kept, trace
from tests.made.fake_engine import Engine, completion, detokenize, serving, templated, tokenize


class Words:
    """A tokenizer."""

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return tokenize(text)

    def decode(self, ids: list[int]) -> str:
        return detokenize(ids)

    def apply_chat_template(self, messages: list[dict[str, Any]], tokenize: bool, add_generation_prompt: bool) -> str:
        return templated(messages)


class LLM:
    """vLLM's class in small: `prompt_logprobs` of given ids by the model of `fake_engine`."""

    loaded: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, **given: Any) -> None:
        if given["model"] == "no-such":
            raise OSError("no-such is not a local folder\nand not a valid model")
        self.longest = given["max_model_len"]
        LLM.loaded.append(given)

    def generate(self, prompts: list[dict[str, Any]], params: Any, use_tqdm: bool) -> list[Any]:
        found = []
        for one in prompts:
            assert len(one["prompt_token_ids"]) < self.longest
            asked = {
                "prompt": one["prompt_token_ids"],
                "max_tokens": 1,
                "temperature": 0.0,
                "prompt_logprobs": params.prompt_logprobs,
            }
            told = completion(Engine(), asked)["choices"][0]["prompt_logprobs"]
            rows = [
                None if r is None else {int(t): SimpleNamespace(logprob=v["logprob"]) for t, v in r.items()}
                for r in told
            ]
            found.append(SimpleNamespace(prompt_logprobs=rows))
        return found


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> type[LLM]:
    """A package `vllm` that can be imported; what it is told by the environment is forgotten with the test."""
    made, words = ModuleType("vllm"), ModuleType("vllm.tokenizers")
    made.__dict__.update(
        __version__="0.32.0", LLM=LLM, SamplingParams=lambda **given: SimpleNamespace(**given), tokenizers=words
    )
    words.__dict__.update(get_tokenizer=lambda model: Words())
    monkeypatch.setitem(sys.modules, "vllm", made)
    monkeypatch.setitem(sys.modules, "vllm.tokenizers", words)
    monkeypatch.setattr(offline, "_QUIET", {})
    LLM.loaded.clear()
    return LLM


@pytest.mark.slow
def test_it_says_what_a_server_says(vllm: type[LLM], tmp_path: Path) -> None:
    file = kept(Engine(model=2), tmp_path / "r.jsonl")
    right = kept(Engine(), tmp_path / "right.jsonl")
    steps = trace(Engine(), tmp_path / "t.jsonl")
    with serving(Engine()) as url:
        for one in (file, right, steps):
            ours, theirs = (replay(one, verifier=v).document for v in ("vllm:made", url))
            assert ours["verdict"] == theirs["verdict"]
            assert ours["causes"] == theirs["causes"]
            changed = {"verifier", "engine_version"}
            assert {k: v for k, v in ours["replay"].items() if k not in changed} == {
                k: v for k, v in theirs["replay"].items() if k not in changed
            }
    assert (ours["replay"]["verifier"], ours["replay"]["engine_version"]) == ("vllm:made", "0.32.0")
    assert len(vllm.loaded) == 3


def test_it_makes_ids_of_a_chat_and_takes_a_type(vllm: type[LLM], tmp_path: Path) -> None:
    file, out = answers(tmp_path / "r.jsonl", Engine(), chat=True), tmp_path / "o.json"
    assert run(["replay", str(file), "--verifier", "vllm:made", "--dtype", "float32", "--json", str(out), "-q"]) == 0
    found = json.loads(out.read_text())["replay"]
    assert (found["tokenised"], found["greedy"]["wrong"]) == (8, 0)
    assert vllm.loaded[0]["dtype"] == "float32"


def test_what_does_not_go(tmp_path: Path, vllm: type[LLM], monkeypatch: pytest.MonkeyPatch) -> None:
    file = kept(Engine(), tmp_path / "r.jsonl", n=2, tokens=4)
    with pytest.raises(UsageError, match="OSError: no-such is not a local folder"):
        replay(file, verifier="vllm:no-such")
    with pytest.raises(UsageError, match="--drafter"):
        replay(file, verifier="vllm:made", drafter="x")
    with pytest.raises(UsageError, match="which model"):
        replay(file, verifier="vllm:")
    monkeypatch.setitem(sys.modules, "vllm", None)
    assert run(["replay", str(file), "--verifier", "vllm:made"]) == 2
