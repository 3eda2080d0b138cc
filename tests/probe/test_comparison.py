"""Sampled answers of two servers: those that draw alike are not told apart, those that do not are."""

import numpy as np
import pytest

from sdtrace.probe.ask import OTHER_SEED, SEED, Plan
from sdtrace.probe.prompts import BUILT_IN
from sdtrace.probe.run import probe
from sdtrace.probe.two_sample import LEVEL, two_sample
from sdtrace.replay.engine.client import Client
from sdtrace.stats.sign_flip import sign_flip
from tests.bench.against import rows
from tests.made.fake_engine import Engine, serving


@pytest.mark.slow
def test_flips_are_exact_however_many_statistics_there_are() -> None:
    """Of 200 pairs of samples that are alike, about a twentieth has a p-value of a twentieth."""
    rng, low = np.random.default_rng(5), 0
    for n in range(200):
        found = sign_flip({name: rng.standard_t(2, (14, 3)) for name in "abcde"}, seed=n)
        assert found is not None
        low += found.p <= 0.05
    assert low <= 20
    shifted = sign_flip({"a": rng.normal(0, 1, (20, 1)), "b": rng.normal(3, 1, (20, 1))})
    assert shifted is not None
    assert (shifted.p <= LEVEL, shifted.loudest) == (True, "b")
    assert sign_flip({"a": np.zeros((9, 2))}) is None


@pytest.mark.one_of(2)
@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        (Engine(), Engine(k=0), False),
        (Engine(fault="temperature", model=2), Engine(k=0, model=2), True),
        pytest.param(Engine(fault="stale"), Engine(k=0), True, marks=pytest.mark.slow),
        pytest.param(Engine(model=3), Engine(k=0), True, marks=pytest.mark.slow),
    ],
    ids=["speculation", "temperature", "stale", "model"],
)
def test_what_differs_is_told(one: Engine, other: Engine, differ: bool) -> None:
    found = two_sample(list(zip(rows(one, SEED), rows(other, OTHER_SEED), strict=True)))
    assert found is not None
    assert (found.p <= LEVEL) == differ


@pytest.mark.slow
def test_a_probe_says_so() -> None:
    """Greedy answers are the same: only what is sampled differs."""
    with serving(Engine(fault="temperature", k=0)) as url, serving(Engine(k=0)) as other:
        found = probe(Client(url), Plan(BUILT_IN, 42, 16, temperatures=(0.0, 0.5)), Client(other)).document
    told = found["probe"]["against"]
    assert (told["parted"], told["sampled_pairs"], told["sampled_differ"]) == (0, 21, True)
    assert told["sampled_p"] <= LEVEL
    assert told["sampled_by"] in told["sampled_each"]


@pytest.mark.slow
def test_a_token_that_is_not_listed_lies_below_all_that_are() -> None:
    """Greedy answers of another model part at once: the other's tokens are not even among the best 20, which is no near tie."""
    with serving(Engine(model=3)) as url, serving(Engine(k=0)) as other:
        found = probe(Client(url), Plan(BUILT_IN, 6, 8, temperatures=(0.0,)), Client(other)).document
    told = found["probe"]["against"]
    assert (told["parted"], told["near_ties"], told["untold"]) == (6, 0, 0)
    assert {one.get("gap_is") for one in told["gaps"]} >= {"at least"}
    assert "beyond a near tie in 6 of 6" in found["causes"][0]["headline"]
