"""Faults in a part of the traffic: the part is named with what holds in it, and a correct engine has none."""

import math

import numpy as np
import pytest

from sdtrace.diagnosis.diagnose import Diagnosis
from sdtrace.simulate import Settings
from sdtrace.stats.e_value import log_e
from tests.made.pairs import one_of
from tests.power.judge import at_level, diagnosed, made

#: What a slice is called, and how many decisions show it without uniforms.
PARTS = {
    "lenience-one-adapter": ("tags.adapter", 8000),
    "lenience-one-hour": ("hour", 6000),
    "lenience-one-rank": ("rank", 5000),
    "lenience-large-batches": ("batch_size", 2000),
    "lenience-behind-the-first": ("position", 1500),
    "lenience-first-steps": ("step", 14000),
}


def where(found: Diagnosis) -> dict[str, str]:
    wrong = [c for c in found.causes if c.side == "wrong"]
    assert [c.cause for c in wrong] == ["lenient-acceptance"]
    evidence = next(row for row in wrong[0].evidence if "where" in row)
    assert "only where" in wrong[0].headline
    assert 0 < evidence["share"] < 0.9
    return dict(evidence["where"])


@pytest.mark.one_of(2)
@pytest.mark.parametrize("fault", one_of(3, PARTS))
def test_a_sliced_fault_is_named_with_its_part(fault: str) -> None:
    """By the statistics of the part alone, and by its decisions where uniforms are logged; both give the threshold."""
    by, tested = PARTS[fault]
    trace = made(Settings(fault, tested=tested, vocab=64, seed=3))
    for level in ("basic", "draws"):
        found = diagnosed(at_level(trace, level))
        assert list(where(found)) == [by]
        said = next(c.headline for c in found.causes)
        threshold = float(said.partition("threshold about ")[2].partition(",")[0])
        assert threshold == pytest.approx(0.7, abs=0.08)


@pytest.mark.slow
def test_block_lenience_of_one_rank_is_found() -> None:
    """One rank of two keeps too much: mean kept minus P_i, step by step."""
    trace = made(Settings("lenience", 0.5, "block", tested=3000, vocab=64, seed=2))
    honest = made(Settings("healthy", None, "block", tested=12000, vocab=64, seed=2))
    held = [
        *(b.steps.with_columns(rank=1, request_id="x" + b.steps["request_id"]) for b in trace.held),
        *(b.steps.with_columns(rank=0) for b in honest.held),
    ]
    batches = [
        b.__class__(b.path, b.lines, b.runs, b.requests.clear(), s)
        for b, s in zip([*trace.held, *honest.held], held, strict=True)
    ]
    found = diagnosed(made(Settings(tested=50)).__class__(tuple(batches)))
    assert where(found) == {"rank": "1"}


@pytest.mark.one_of(3)
@pytest.mark.parametrize("law", ["ratio", "one-hot", "block"])
def test_a_fault_of_all_the_traffic_has_no_slice(law: str) -> None:
    found = diagnosed(
        made(Settings("lenience", 0.6, law, tested=3000, vocab=64, seed=4, level="basic", variant="batches"))
    )
    wrong = [c for c in found.causes if c.side == "wrong"]
    assert [c.cause for c in wrong] == ["lenient-acceptance"]
    assert "only where" not in wrong[0].headline


@pytest.mark.slow
def test_e_values_have_a_mean_of_one_at_most() -> None:
    """20,000 sums of 60 unequal coins: the mean of the e-value is no more than 1, and one in 50 of its bets wins twofold at most."""
    rng = np.random.default_rng(1)
    chance = rng.uniform(0.02, 0.98, 60)
    gap = (rng.random((20_000, 60)) < chance) - chance
    v = float((chance * (1 - chance)).sum())
    e = np.array([math.exp(log_e(d, v)) for d in gap.sum(axis=1)])
    assert e.mean() < 1.0
    assert (e >= 20).mean() <= 0.05
    loose = np.array(
        [math.exp(log_e(d, float(q), exact=False)) for d, q in zip(gap.sum(axis=1), (gap**2).sum(axis=1), strict=True)]
    )
    assert loose.mean() < 1.0


def test_an_e_value_finds_what_a_z_of_7_finds() -> None:
    assert log_e(7.0 * math.sqrt(60.0), 60.0) > 15
    assert log_e(0.0, 60.0) < 0
    assert log_e(7.0 * math.sqrt(60.0), 60.0, s=7.0 * math.sqrt(60.0)) < 0


@pytest.mark.one_of(2)
@pytest.mark.parametrize("fault", ["residual-argmax", "residual-squared"])
def test_a_wrong_residual_is_told_from_a_wrong_draft(fault: str) -> None:
    """No sums over the vocabulary: the powers of q and of p - q tell which side is off."""
    named = [
        c.cause
        for c in diagnosed(
            at_level(made(Settings(fault, tested=4000, vocab=128, level="draws", seed=3)), "basic")
        ).causes
    ]
    assert named[:1] == ["recovered-not-residual"]


@pytest.mark.slow
def test_a_fault_everywhere_is_in_no_slice_and_says_how_much() -> None:
    """Few positions that are not seen to be off may be as much off as the others."""
    trace = at_level(made(Settings("force-accept", 0.15, tested=4000, vocab=128, level="draws", seed=4)), "basic")
    first = diagnosed(trace).causes[0]
    assert (first.cause, "only where" in first.headline) == ("decision-mismatch", False)
    assert "a share of decisions (about 1" in first.headline
    lenient = at_level(made(Settings("lenience", 0.8, tested=4000, vocab=128, level="draws", seed=4)), "basic")
    assert "threshold about 0.8" in diagnosed(lenient).causes[0].headline
