"""Files of responses through the report: what is wrong is named, what is right is not accused, whatever is asked of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from sdtrace.api import report
from sdtrace.diagnosis.texts import text_causes
from sdtrace.readers.responses import responses as parse
from sdtrace.render import html, terminal
from sdtrace.responses.streams import outcome
from sdtrace.responses.texts import Texts
from sdtrace.schema.responses import from_rows
from sdtrace.simulate.responses import TEXT_FAULTS, Asked, responses
from tests.made import sglang_steps
from tests.made.fake_engine import Engine, completion, seeded
from tests.made.responses import counts

CANARY = "CANARY-prompt-text"


def document(tmp_path: Path, **asked: Any) -> dict[str, Any]:
    file = tmp_path / "responses.jsonl"
    file.write_text("".join(f"{json.dumps(one)}\n" for one in responses(Asked(**asked))))
    return report(file).document


@pytest.mark.one_of(2)
@pytest.mark.parametrize(
    ("fault", "more"),
    [
        pytest.param("text-stale", {}, marks=pytest.mark.slow),
        ("text-stale", {"shape": "chat", "decimals": 3}),
        ("text-swapped", {"shape": "sglang", "basis": "scaled", "temperature": 0.8}),
        pytest.param("text-any", {"strength": 0.2}, marks=pytest.mark.slow),
        ("text-temperature", {"temperature": 0.6, "strength": 1.0, "shape": "llamacpp"}),
        ("text-uncut", {"top_k": 4, "shape": "llamacpp"}),
        pytest.param("text-second", {"temperature": 0.0, "shape": "chat"}, marks=pytest.mark.slow),
    ],
)
def test_a_fault_is_named_first(fault: str, more: dict[str, Any], tmp_path: Path) -> None:
    found = document(tmp_path, fault=fault, vocab=200, k=10, responses=16, **more)
    assert found["verdict"]["state"] == "wrong"
    assert found["causes"][0]["cause"] == TEXT_FAULTS[fault].cause
    assert found["causes"][0]["certainty"] in ("proved", "statistical")


@pytest.mark.one_of(4)
@pytest.mark.parametrize(
    "more",
    [
        {"temperature": 0.0, "shape": "chat"},
        {"temperature": 0.7, "top_p": 0.9, "shape": "sglang", "basis": "scaled"},
        {"temperature": 0.7, "basis": "processed"},
        {"temperature": 1.3, "repetition_penalty": 1.2, "shape": "llamacpp"},
        {"temperature": 0.0, "presence_penalty": 2.0, "shape": "llamacpp"},  # of the prompt's tokens too
        {"temperature": 0.0, "frequency_penalty": 1.8, "shape": "llamacpp"},
        {"temperature": 1.0, "presence_penalty": 0.5, "frequency_penalty": 0.8, "shape": "chat"},
        {"stop": 0.1, "decimals": 2},
    ],
)
def test_what_is_right_is_not_accused(more: dict[str, Any], tmp_path: Path) -> None:
    found = document(tmp_path, vocab=200, k=6, responses=16, **more)
    assert found["causes"] == []
    assert found["verdict"]["state"] in ("healthy", "cannot-tell")


@pytest.mark.parametrize(("fault", "ignored"), [("temperature", True), ("forced", False)])
def test_seeded_tokens_tell_an_ignored_temperature(fault: str, ignored: bool) -> None:
    """The request's draws contradict its tokens; taken from the logits as they are, they give every one."""
    asked, held = seeded(200 if ignored else 500) | {"temperature": 0.5 if ignored else 1.0}, Texts()
    answer = completion(Engine(k=0 if ignored else 3, fault=fault), asked)
    rows = [row | {"basis": "raw"} for row in parse({"request": asked, "response": answer})]
    held.add(from_rows("made", rows))
    found = outcome(counts(held))
    assert found.state == "fired"
    assert found.witnesses[0]["untempered"] is ignored
    causes = text_causes({"SD311": found})
    assert causes[0].cause == ("sampling-params-ignored" if ignored else "text-not-from-target")


@pytest.mark.one_of(5)
@pytest.mark.parametrize(
    ("fault", "drafted", "state"),
    [("", 3, "clear"), ("", 1, "clear"), ("forced", 3, "fired"), ("stale", 2, "fired"), ("stream", 3, "cannot-tell")],
)
@pytest.mark.parametrize("told", [True, False])
def test_steps_of_sglang_explain_a_seeded_answer_or_none_does(fault: str, drafted: int, state: str, told: bool) -> None:
    """Where steps begin is not told. Proved where the server says that it drafts in a chain, else suspected."""
    held, answers = Texts(), 18 if fault == "forced" else 5
    made = [row for n in range(answers) for row in parse(sglang_steps.answer(100 + n, drafted, fault))]
    held.add(from_rows("made", [row | ({"drafter": "chain"} if told else {}) for row in made]))
    found = outcome(counts(held))
    assert found.state == state
    if state == "fired":
        assert f"sglang-coins, {drafted} drafted" in str(found.headline)
        assert (found.witnesses[0]["assumed"] is None) == told


@pytest.mark.slow
def test_a_seed_decides_single_tokens(tmp_path: Path) -> None:
    """One wrong token in ten of a seeded server: recognised, and named; a seed that is another one is not held against it."""
    said = {}
    for name, engine, one_seed in (
        ("right", Engine(k=0), 5),
        ("wrong", Engine(fault="forced", k=3), 5),
        ("other", Engine(k=0), 6),
    ):
        asked = seeded(400)
        file = tmp_path / f"{name}.jsonl"
        file.write_text(
            json.dumps({"request": asked, "response": completion(engine, asked | {"seed": one_seed})}) + "\n"
        )
        said[name] = report(file).document
    assert said["right"]["causes"] == []
    assert said["right"]["text"]["seeds"][0]["stream"] is not None
    assert said["right"]["text"]["seeds"][0]["contradicted"] == 0
    assert said["wrong"]["causes"][0]["certainty"] == "suspected"  # how it drafts is not said
    assert "draws" in said["wrong"]["causes"][0]["headline"]
    assert said["other"]["causes"] == []
    assert said["other"]["text"]["seeds"][0]["stream"] is None


@pytest.mark.slow
def test_an_answer_that_stands_twice_counts_once(tmp_path: Path) -> None:
    file = tmp_path / "responses.jsonl"
    lines = [json.dumps(one) for one in responses(Asked(vocab=200, responses=6))]
    file.write_text("\n".join(lines) + "\n")
    once = report(file).document["text"]["servers"]
    file.write_text("\n".join(lines * 30) + "\n")
    often = report(file).document["text"]
    assert often["servers"] == once
    assert often["not_judged"] == {"the same answer again": 29 * 6}


@pytest.mark.slow
def test_llamacpp_forbids_the_end_where_it_is_to_be_ignored(tmp_path: Path) -> None:
    """vLLM and SGLang go on behind it, llama.cpp never draws it: its logprobs are from before that."""
    for shape, judged in (("llamacpp", False), ("sglang", True)):
        made = list(responses(Asked(vocab=200, responses=6, shape=shape)))
        for one in made:
            one["request"]["ignore_eos"] = True
            one["response"].get("generation_settings", {})["ignore_eos"] = True
        file = tmp_path / f"{shape}.jsonl"
        file.write_text("".join(f"{json.dumps(one)}\n" for one in made))
        assert bool(report(file).document["text"]["judged"]) == judged


@pytest.mark.slow
def test_what_is_not_said_is_only_suspected(tmp_path: Path) -> None:
    """A server may have a top-k of its own; a text that it explains proves nothing."""
    found = document(
        tmp_path, vocab=200, k=8, responses=30, top_k=1, temperature=1.0, unsaid=("top_k", "top_p", "min_p")
    )
    assert found["verdict"]["state"] == "cannot-tell"
    assert {c["certainty"] for c in found["causes"]} == {"suspected"}


@pytest.mark.one_of(5)
@pytest.mark.parametrize("key", ["logit_bias", "guided_json", "tools", "min_tokens", "a_key_that_nobody_knows"])
def test_forced_tokens_are_not_held_against_it(key: str, tmp_path: Path) -> None:
    file = tmp_path / "responses.jsonl"
    made = list(responses(Asked(fault="text-stale", vocab=200, responses=8)))
    for one in made:
        one["request"][key] = [{"x": 1}]
    file.write_text("".join(f"{json.dumps(one)}\n" for one in made))
    found = report(file).document
    assert found["causes"] == []
    assert any(key in note for note in found["verdict"]["not_checked"])


@pytest.mark.slow
def test_no_text_and_no_id_gets_out(tmp_path: Path) -> None:
    file = tmp_path / "responses.jsonl"
    made = list(responses(Asked(fault="text-stale", vocab=200, responses=8)))
    for one in made:
        one["request"]["user"] = CANARY
        one["response"]["choices"][0]["text"] = CANARY
        told = one["response"]["choices"][0]["logprobs"]
        told["tokens"] = [CANARY for _ in told["tokens"]]
    file.write_text("".join(f"{json.dumps(one)}\n" for one in made))
    found = report(file)
    for text in (
        json.dumps(found.document),
        html.page(found).decode(),
        terminal.summary(found, width=100, color=False),
    ):
        assert CANARY not in text


@pytest.mark.slow
def test_both_ways_of_keeping_a_stream_say_the_same(tmp_path: Path) -> None:
    """Chunks of one response, as a list beside their request or as the text that came."""
    (one,) = responses(Asked(fault="text-healthy", vocab=200, responses=1, tokens=30))
    whole = one["response"]
    held = whole["choices"][0]
    chunks = []
    for i, token in enumerate(held["token_ids"]):
        logprobs = {k: held["logprobs"][k][i : i + 1] for k in ("tokens", "token_logprobs", "top_logprobs")}
        end = {"finish_reason": "length"} if i == 29 else {"finish_reason": None}
        choice = {"index": 0, "text": "", "logprobs": logprobs, "token_ids": [token], "stop_reason": None} | end
        chunks.append({"id": "a", "object": "text_completion", "model": "made", "choices": [choice]})
    said = {}
    for name, kept in (
        ("list", chunks),
        ("text", "".join(f"data: {json.dumps(c)}\n\n" for c in chunks)),
        ("whole", whole),
    ):
        file = tmp_path / f"{name}.jsonl"
        file.write_text(json.dumps({"request": one["request"], "response": kept}) + "\n")
        said[name] = report(file).document["text"]
    assert said["list"]["servers"][0]["statistics"] == said["text"]["servers"][0]["statistics"]
    assert said["list"]["tokens"] == said["whole"]["tokens"] == 30


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("bare", "6 answers without logprobs"),
        ("alone", "the temperature is not known: keep the request beside the response"),
        ("few", "too few top tokens are listed"),
    ],
)
def test_what_cannot_be_judged_says_what_is_missing(change: str, words: str, tmp_path: Path) -> None:
    """Logprobs, the request, enough of the best tokens: each by its name, and nobody is accused."""
    lines = []
    for one in responses(Asked(vocab=200, responses=6, tokens=12, k=10, shape="chat")):
        choice = one["response"]["choices"][0]
        if change == "bare":
            choice["logprobs"] = None
        elif change == "few":
            for place in choice["logprobs"]["content"]:
                place["top_logprobs"] = place["top_logprobs"][:2]
        lines.append(json.dumps(one["response"] if change == "alone" else one))
    file = tmp_path / "responses.jsonl"
    file.write_text("\n".join(lines) + "\n")
    found = report(file).document
    assert (found["verdict"]["state"], found["causes"]) == ("cannot-tell", [])
    assert words in found["verdict"]["headline"]


def chunked(answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """A completion as vLLM streams it, a token a chunk; what is counted comes last, without a choice."""
    choice, made = answer["choices"][0], []
    held = choice["logprobs"]
    for i, token in enumerate(choice["token_ids"]):
        one = {name: held[name][i : i + 1] for name in ("tokens", "token_logprobs", "top_logprobs")}
        part = {
            "index": 0,
            "text": "",
            "logprobs": one,
            "finish_reason": None,
            "stop_reason": None,
            "token_ids": [token],
        }
        made.append(part | ({} if i else {"prompt_token_ids": choice["prompt_token_ids"]}))
    made[-1]["finish_reason"] = "length"
    base = {"id": name, "object": "text_completion", "model": "fake"}
    return [*(base | {"choices": [one]} for one in made), base | {"choices": [], "usage": answer["usage"]}]


@pytest.mark.parametrize(("lost", "judged"), [(0, 480), (2, 0)], ids=["whole", "chunks lost"])
def test_a_stream_with_its_usage_is_one_answer(lost: int, judged: int, tmp_path: Path) -> None:
    """Chunks are no answers of their own; where some are lost, the tokens behind them have no place in a seed's stream."""
    lines = []
    for n in range(12):
        asked = seeded(40) | {"prompt": [n, 7, 9], "seed": 100 + n, "stream": True}
        parts = chunked(completion(Engine(), asked), f"c{n}")
        lines.append(json.dumps({"request": asked, "response": [*parts[:10], *parts[10 + lost :]]}))
    file = tmp_path / "streams.jsonl"
    file.write_text("\n".join(lines) + "\n")
    found = report(file).document
    assert found["causes"] == []
    assert found["text"]["responses"] == 12
    assert [(one["explained"], one["contradicted"]) for one in found["text"]["seeds"]] == (
        [(judged, 0)] if judged else []
    )
