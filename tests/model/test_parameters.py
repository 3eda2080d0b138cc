"""Sampling parameters as arithmetic, held against Transformers' own processors and against plain formulas."""

from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.generation import logits_process as theirs

from sdtrace.replay.parameters import Parameters, shaped

VOCABULARY = 40


@st.composite
def cases(draw: Any) -> tuple[Any, Parameters, list[int], list[int]]:
    seed = draw(st.integers(0, 2**31))
    logits = torch.randn(3, VOCABULARY, generator=torch.Generator().manual_seed(seed)) * draw(st.floats(0.5, 6))
    asked = Parameters(
        temperature=draw(st.sampled_from([0.3, 0.8, 1.0, 1.7])),
        top_k=draw(st.one_of(st.none(), st.integers(1, VOCABULARY + 5))),
        top_p=draw(st.one_of(st.none(), st.floats(0.05, 0.99))),
        min_p=draw(st.one_of(st.none(), st.floats(0.01, 0.9))),
        repetition=draw(st.sampled_from([1.0, 1.2, 0.8])),
        engine="transformers",
    )
    ids = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=12)
    return logits, asked, draw(ids), draw(ids)


@settings(max_examples=300, deadline=None)
@given(cases())
def test_as_transformers_does_it(case: tuple[Any, Parameters, list[int], list[int]]) -> None:
    logits, asked, prompt, generated = case
    chain = theirs.LogitsProcessorList([theirs.RepetitionPenaltyLogitsProcessor(asked.repetition)])
    chain.append(theirs.TemperatureLogitsWarper(asked.temperature))
    if asked.top_k is not None:
        chain.append(theirs.TopKLogitsWarper(asked.top_k))
    if asked.top_p is not None:
        chain.append(theirs.TopPLogitsWarper(asked.top_p))
    if asked.min_p is not None:
        chain.append(theirs.MinPLogitsWarper(asked.min_p))
    wanted = chain(torch.tensor([prompt + generated] * len(logits)), logits.clone())
    found = shaped(logits, asked, lambda i: (prompt, generated))
    assert torch.equal(torch.isinf(found), torch.isinf(wanted))
    kept = ~torch.isinf(wanted)
    torch.testing.assert_close(found[kept], wanted[kept], rtol=1e-6, atol=1e-6)


@settings(max_examples=100, deadline=None)
@given(cases(), st.floats(-1, 2), st.floats(-1, 2))
def test_penalties_count_generated_tokens_only(case: Any, presence: float, frequency: float) -> None:
    logits, _, prompt, generated = case
    found = shaped(logits, Parameters(presence=presence, frequency=frequency), lambda i: (prompt, generated))
    counts = np.bincount(generated, minlength=VOCABULARY)
    wanted = logits.numpy() - frequency * counts - presence * (counts > 0)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-5, atol=1e-5)


@settings(max_examples=100, deadline=None)
@given(cases())
def test_what_is_left_is_a_distribution_of_the_most_probable(case: Any) -> None:
    logits, asked, prompt, generated = case
    for engine in ("vllm", "transformers"):
        given_ = Parameters(asked.temperature, asked.top_k, asked.top_p, asked.min_p, engine=engine)
        p = shaped(logits, given_, lambda i: (prompt, generated)).softmax(-1)
        torch.testing.assert_close(p.sum(-1), torch.ones(len(p)))
        for row, raw in zip(p, logits, strict=True):
            least_kept, most_dropped = raw[row > 0].min(), raw[row == 0].max() if (row == 0).any() else -torch.inf
            assert least_kept >= most_dropped
            assert row[raw.argmax()] > 0


def test_bias_and_temperature_zero() -> None:
    logits = torch.zeros(2, 4)
    found = shaped(logits, Parameters(temperature=0.0, top_k=1, bias={2: 5.0}), lambda i: ([], []))
    assert found.tolist() == [[0, 0, 5, 0]] * 2
    assert logits.sum() == 0, "the model's own logits are left alone"
