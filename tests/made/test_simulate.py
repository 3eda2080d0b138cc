"""The simulator tells the truth: its engines obey their laws, its faults do not, its records are format 1."""

import json
from pathlib import Path

import numpy as np
import pytest

from sdtrace.schema.trace import TABLES
from tests.made.faults import FAULTS
from tests.made.lawful import VARIANTS
from tests.made.laws import LAWS, block, ratio
from tests.made.log import Log, Record, rounded
from tests.made.simulate import Scenario, simulate
from tests.made.world import NEVER, Shape, World, draw, make


@pytest.mark.one_of(3)
@pytest.mark.parametrize("law", LAWS)
def test_a_correct_engine_makes_no_wrong_decision(law: str) -> None:
    trace = simulate(Scenario(law, shape=Shape(tested=1000)))
    assert trace.wrong == 0
    assert trace.distance is None or trace.distance < 1e-6


@pytest.mark.slow
def test_overlap_of_the_two_models_is_about_seven_tenths() -> None:
    trace = simulate(Scenario(shape=Shape(tested=5000)))
    rate = sum(step["num_accepted"] for step in trace.steps) / trace.tested
    expected = np.concatenate([step["overlap"] for step in trace.steps]).mean()
    assert 0.65 < expected < 0.78
    assert abs(rate - expected) < 0.03


@pytest.mark.parametrize("law", LAWS)
def test_emitted_tokens_follow_the_target(law: str) -> None:
    """Counts of emitted tokens, where p exceeds q, against the sum of p there: a z below 4."""
    rng = np.random.default_rng(5)
    n, vocab = 4000, 32
    world = make(Shape(tested=60, vocab=vocab, argmax_draft=law in ("one-hot", "tree-coin", "greedy")), rng)
    one = np.zeros(n, dtype=int)
    x = world.x[one] if law in ("one-hot", "tree-coin", "greedy") else draw(world.q[one], rng)
    r = rng.random(x.shape, dtype=np.float32)
    fixed = World(world.p[one], world.q[one], x, r, world.drafted[one], world.verified[one], one, one)
    outcome = LAWS[law](fixed, rng)
    first = np.where(outcome.n_a > 0, fixed.x[:, 0], outcome.y)
    target = fixed.p[0, 0].astype(float)
    if law == "greedy":
        assert (first == target.argmax()).all()
        return
    more = target > fixed.q[0, 0]
    share = target[more].sum()
    assert abs(np.isin(first, np.flatnonzero(more)).mean() - share) < 4 * np.sqrt(share * (1 - share) / n) + 1e-9


def test_block_verification_of_the_two_symbol_example() -> None:
    """p = (1/3, 2/3), q = (2/3, 1/3), tau = 2: 10/9 tokens accepted token by token, 11/9 by block (Sun et al. 2024)."""
    rng = np.random.default_rng(1)
    n = 200_000
    p, q = np.array([[1 / 3, 2 / 3]] * 3, np.float32), np.array([[2 / 3, 1 / 3]] * 2, np.float32)
    rows, two = (np.broadcast_to(p, (n, 3, 2)), np.broadcast_to(q, (n, 2, 2))), np.full(n, 2)
    world = World(*rows, draw(rows[1], rng), rng.random((n, 2), dtype=np.float32), two, two, two, two)
    assert abs(ratio(world, rng).n_a.mean() - 10 / 9) < 0.01
    assert abs(block(world, rng).n_a.mean() - 11 / 9) < 0.01


@pytest.mark.slow
def test_distance_is_what_result_3_says() -> None:
    """Accepting too often with a right residual: the distance from p is the acceptance gained."""
    trace = simulate(Scenario(fault="lenience-0.7", shape=Shape(tested=3000)))
    assert trace.distance is not None
    assert trace.distance == pytest.approx(trace.wrong / trace.tested, abs=0.02)


@pytest.mark.one_of(15)
@pytest.mark.parametrize("name", FAULTS)
def test_faults_change_the_trace(name: str) -> None:
    fault = FAULTS[name]
    trace = simulate(Scenario(fault=name))
    honest = simulate(Scenario(fault.law))
    assert trace.steps != honest.steps or trace.requests != honest.requests
    if fault.level or fault.decide:
        assert trace.wrong > 2
    assert trace.tested >= 120


def _check_shape(step: Record) -> None:
    tau, n_a = len(step["draft_token_ids"]), step["num_accepted"]
    assert 0 <= n_a <= step["verified_len"] <= tau
    for name, value in step.items():
        if isinstance(value, list) and name not in ("draft_token_ids", "output_token_ids", "accepted"):
            assert len(value) in (tau, tau + 1, step["verified_len"], step["verified_len"] + 1), name
    if step["accepted"] is not None:
        assert len(step["accepted"]) >= min(n_a + 1, step["verified_len"])
        assert step["accepted"][:n_a] == [True] * n_a
    assert step["output_token_ids"][:n_a] == step["draft_token_ids"][: len(step["output_token_ids"])][:n_a]
    assert len(step["output_token_ids"]) <= n_a + 1


@pytest.mark.one_of(6)
@pytest.mark.parametrize("name", VARIANTS)
def test_lawful_variants_are_lawful_records(name: str) -> None:
    trace = simulate(VARIANTS[name])
    assert trace.wrong == 0
    for step in trace.steps:
        _check_shape(step)
    assert not any(NEVER in step["output_token_ids"] for step in trace.steps)


def test_columns_are_those_of_the_format(tmp_path: Path) -> None:
    path = simulate(Scenario(log=Log(top=4))).write(tmp_path / "t.jsonl")
    for line in path.read_text().splitlines():
        record = json.loads(line)
        assert set(record) - {"kind", "format"} <= set(TABLES[record["kind"]])


def test_the_same_seed_makes_the_same_bytes(tmp_path: Path) -> None:
    one = simulate(Scenario(fault="random-flips", seed=3)).write(tmp_path / "a").read_bytes()
    two = simulate(Scenario(fault="random-flips", seed=3)).write(tmp_path / "b").read_bytes()
    other = simulate(Scenario(fault="random-flips", seed=4)).write(tmp_path / "c").read_bytes()
    assert one == two != other


def test_rounding_is_to_nearest() -> None:
    values = np.array([0.1, 1 / 3, 1.0, 3e-5], np.float32)
    assert rounded(values, "bfloat16").tolist() == [0.10009765625, 0.333984375, 1.0, 3.0040740966796875e-05]
    assert rounded(values, "decimals:4").tolist() == [0.1, 0.3333, 1.0, 0.0]
    assert (np.abs(rounded(values, "float16") / values - 1) < 2.0**-11 + 1e-3 * (values < 6e-5)).all()
