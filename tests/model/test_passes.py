"""One packed pass gives what a cache, fed step by step, gives; so do chunks over a cache."""

import random
from typing import Any

import polars as pl
import pytest

from sdtrace.replay import passes
from sdtrace.replay.conversation import Conversation, Step
from sdtrace.replay.facts import facts
from sdtrace.replay.model import Verifier
from sdtrace.replay.packing import pack
from sdtrace.replay.parameters import Parameters
from sdtrace.schema.run import Run
from tests.model.conftest import World


def conversation(seed: int, steps: int = 20) -> Conversation:
    draw = random.Random(seed)
    prompt = [draw.randrange(500) for _ in range(3 + seed)]
    tokens, made = list(prompt), []
    for n in range(steps):
        tau = draw.choice([0, 2, 4, 4])
        draft = [draw.randrange(500) for _ in range(tau)]
        n_a = draw.randrange(tau + 1)
        output = [*draft[:n_a], draw.randrange(500)]
        made.append(Step({"step": n}, len(tokens), draft, output, n_a))
        tokens += output
    return Conversation(Run(), {"run_id": "a", "request_id": f"r{seed}"}, prompt, made, tokens)


def collected(ones: list[Conversation], go: Any) -> pl.DataFrame:
    frames = []
    given = dict.fromkeys(range(len(ones)), Parameters(temperature=0.8))

    def take(places: Any, logits: Any) -> None:
        frames.append(facts(places, passes.shape_rows(places, logits, ones, given), ones))

    go(take)
    return pl.concat(frames).sort("request_id", "step", "position")


@pytest.mark.parametrize("tokens", [None, 40, 16])
def test_a_packed_pass_is_the_stepwise_one(world: World, tokens: int | None) -> None:
    verifier, ones = Verifier(world.target, "tiny"), [conversation(seed) for seed in range(5)]
    packed = collected(ones, lambda take: list(passes.run(verifier, ones, pack, take, tokens=tokens)))
    steps = collected(ones, lambda take: passes.stepwise(verifier, ones, take))
    keys = ["request_id", "step", "position", "drafted", "emitted"]
    assert packed.select(keys).equals(steps.select(keys))
    for column in ("log_p", "log_p_emitted", "below", "gap", "margin"):
        assert (packed[column] - steps[column]).abs().max() < 2e-5, column
    assert packed["emitted"].count() == sum(len(one.tokens) - len(one.prompt) for one in ones)


def test_weights_come_back(world: World) -> None:
    from sdtrace.replay.quantise import rounded

    verifier = Verifier(world.target, "tiny")
    before = [p.clone() for p in world.target.parameters()]
    with verifier.weights(rounded("Q4_0")):
        assert any(not a.equal(b) for a, b in zip(before, world.target.parameters(), strict=True))
    assert all(a.equal(b) for a, b in zip(before, world.target.parameters(), strict=True))
