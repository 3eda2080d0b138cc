"""Bounds of what a token was drawn from hold whatever is asked, listed and rounded; bets against them are e-values."""

from dataclasses import replace
from typing import cast

import numpy as np
import pytest

from sdtrace.readers.responses import responses as parse
from sdtrace.responses.bounds import LEAST, Sampling, weights
from sdtrace.responses.positions import listed, sampling, sure
from sdtrace.schema.responses import Response
from sdtrace.simulate.responses import Asked, responses, shape


@pytest.mark.one_of(5)
@pytest.mark.parametrize("seed", range(40))
def test_no_token_is_more_probable_than_its_bound(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulator's own rows, exactly: every listed token and the rest, under parameters that are drawn."""
    rng = np.random.default_rng(seed)
    asked = Asked(
        responses=1, tokens=12, vocab=int(rng.choice([30, 400])), temperature=float(rng.choice([0.3, 0.7, 1.0, 1.4])),
        top_k=int(rng.choice([0, 3, 12])), top_p=float(rng.choice([1, 0.6, 0.95])), min_p=float(rng.choice([0, 0.05])),
        repetition_penalty=float(rng.choice([1, 1.3])), k=int(rng.choice([3, 6, 15])),
        decimals=None if seed % 2 else int(rng.choice([2, 4])), shape=("completion", "chat", "sglang", "llamacpp")[seed % 4],
        unsaid=("top_p", "repetition_penalty") if seed % 3 == 0 else (), flat=float(rng.choice([0.3, 1.5])), seed=seed,
    )  # fmt: skip
    exact = []

    def kept(logits: np.ndarray, a: Asked, seen: list[int], written: list[int]) -> np.ndarray:
        out = shape(logits, a, seen, written)
        p = np.exp(out - out.max())
        exact.append(p / p.sum())
        return out

    monkeypatch.setattr("sdtrace.simulate.responses.shape", kept)
    (row,) = [row for wrapped in responses(asked) for row in parse(wrapped)]
    row = dict.fromkeys(("basis", "temperature_last"), "raw" if asked.shape != "sglang" else None) | row
    row = dict.fromkeys(("seed", "prompt_token_ids", "min_p", "top_k", "top_p", "repetition_penalty")) | row
    row["temperature_last"] = False
    given = sampling(cast("Response", row), usual=False)
    rows = sure(listed(cast("Response", row)), cast("Response", row))
    assert not isinstance(given, str)
    assert not isinstance(rows, str)
    if seed % 4 < 2:  # the simulator takes top-p of what top-k left
        given = replace(given, top_p_of_left=True)
    most = weights(rows.top, rows.edge, rows.error, given, None).most()
    for i, p in enumerate(exact):
        named = rows.ids[i] >= 0
        mine = p[rows.ids[i][named]]
        assert (mine <= most[i, :-1][named] + 1e-9).all(), (i, mine, most[i])
        assert 1 - mine.sum() <= max(most[i, -1], LEAST) + 1e-9


def test_top_p_of_what_top_k_left_is_known_where_the_rest_is_heavy() -> None:
    """0.39 of the mass is not listed: of the whole, top-p 0.9 may keep every token; of three that top-k left, it keeps two for certain."""
    top = np.log(np.array([[0.5, 0.1, 0.01]]))
    edge, error = top[:, -1], np.full(top.shape, 1e-6)
    for of_left, kept in ((True, [True, True, False]), (False, [True, True, True])):
        given = Sampling(1.0, top_k=3, top_p=0.9, top_p_of_left=of_left)
        assert (weights(top, edge, error, given).high[0] > 0).tolist() == kept
    exact = weights(top, edge, error, Sampling(1.0, top_k=3, top_p=0.9, top_p_of_left=True)).most()
    assert exact[0, :2] == pytest.approx([0.5 / 0.6, 0.1 / 0.6], rel=1e-4)


def test_a_wrong_bound_would_be_seen() -> None:
    """The test above can fail: at another temperature the bounds do not hold."""
    top = np.log(np.array([[0.5, 0.2, 0.1]]))
    edge, error = top[:, -1], np.full(top.shape, 1e-6)
    sharp = weights(top, edge, error, Sampling(0.5)).most()
    assert sharp[0, 1] < 0.2
    assert weights(top, edge, error, Sampling(1.0)).most()[0, 1] == pytest.approx(0.2, rel=1e-3)
