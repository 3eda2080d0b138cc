"""A probe of llama.cpp's server, in small and over real HTTP: what it leaves untold is asked again, a position at a time."""

import json
from typing import Any

import pytest

from sdtrace.probe.ask import Plan
from sdtrace.probe.prompts import BUILT_IN
from sdtrace.probe.run import probe
from sdtrace.render import json as to_json
from sdtrace.replay.engine.client import Client
from sdtrace.results.report import Report
from tests.made.fake_llamacpp import LlamaCpp, serving
from tests.made.pairs import often


def probed(server: LlamaCpp, *, requests: int = 9, tokens: int = 20, one_hot: bool = True) -> Report:
    with serving(server) as url:
        return probe(Client(url), Plan(BUILT_IN, requests, tokens), one_hot=one_hot)


@pytest.mark.one_of(2)
@pytest.mark.parametrize("drafter", often(["none", "draft-simple"], ["none", "ngram-mod", "draft-simple"]))
def test_one_that_is_right_has_every_token_explained(drafter: str) -> None:
    found = probed(LlamaCpp(types=drafter), one_hot=False).document
    assert found["causes"] == []
    assert found["verdict"]["state"] == "healthy"
    told = (found["text"] if drafter == "none" else found["replay"]["text"])["seeds"][0]
    assert told["stream"].startswith("mt19937")
    assert (told["explained"], told["contradicted"]) == (6 * 20, 0)
    assert found["replay"]["log_p"]["outside_band"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(("size", "covered"), [({}, "judged"), ({"requests": 3, "tokens": 6}, "too-little")])
def test_what_was_scored_counts_as_looked_at(size: dict[str, Any], covered: str) -> None:
    """Its answers come without logprobs where it drafts, and its counters show nothing wrong: what the scores of its tokens say covers
    correctness, in the headline too."""
    found = probed(LlamaCpp(busy=9000), **size).document["verdict"]
    assert {k: v for k, v in found["coverage"].items() if k != "metrics"} == {
        "speed": "judged",
        "acceptance": "judged",
        "correctness": covered,
    }
    assert found["state"] == "healthy"
    assert "not checked" not in found["headline"]
    assert ("too little to judge correctness (tokens: 12 sampled, 6 at temperature 0" in found["headline"]) == (
        covered != "judged"
    )


@pytest.mark.one_of(3)
@pytest.mark.parametrize(
    ("fault", "cause", "words"),
    [
        pytest.param("forced", "text-not-from-target", "seeded", marks=pytest.mark.slow),
        pytest.param("stale", "greedy-mismatch", "", marks=pytest.mark.slow),
        pytest.param("temperature", "sampling-params-ignored", "temperature is ignored", marks=pytest.mark.slow),
        ("stream", "text-not-from-target", "stream of the request 1 after"),
        pytest.param("swapped", "greedy-mismatch", "", marks=pytest.mark.slow),
    ],
)
def test_each_fault_is_named(fault: str, cause: str, words: str) -> None:
    size: dict[str, Any] = {"requests": 18, "tokens": 24} if fault in ("forced", "temperature") else {}
    found = json.loads(to_json.dumps(probed(LlamaCpp(fault=fault), **size)))
    sure = {c["cause"]: c["headline"] for c in found["causes"] if c["certainty"] != "suspected"}
    assert found["verdict"]["state"] == "wrong"
    assert cause in sure
    assert any(words in headline for headline in sure.values())


@pytest.mark.slow
def test_drafts_that_may_be_verified_by_rejection_prove_nothing() -> None:
    """--spec-draft-sampling probabilistic is lossless and spends other draws; its answers do not say so."""
    found = probed(LlamaCpp(rejection=True), requests=12, one_hot=False).document
    assert found["verdict"]["state"] != "wrong"
    assert {c["certainty"] for c in found["causes"]} <= {"suspected"}
