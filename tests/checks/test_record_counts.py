"""Counts of a lawful record that look odd: paddings, chunks of a prompt, lists that end early, answers that are cut."""

import json
from typing import Any

import pytest

from tests.made.lawful import by_request
from tests.made.laws import Generator
from tests.made.log import Record
from tests.made.simulate import Scenario, documented
from tests.made.world import NEVER, Shape

LISTS = ("draft_probs", "target_probs", "uniforms", "overlap", "draft_sq", "accepted")


def pad(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
    """Rows of a batch are filled up with -1 to the longest draft, outputs too."""
    width = max(len(step["draft_token_ids"]) for step in steps) + 2
    for number, step in enumerate(steps):
        more = width - len(step["draft_token_ids"])
        step["draft_token_ids"] += [-1] * more
        step["output_token_ids"] += [-1] * (width + 1 - len(step["output_token_ids"]))
        step["verified_len"] = width
        for name in LISTS if number % 2 else ():
            if step.get(name) is not None:
                step[name] += [False if name == "accepted" else 0.0] * (more + (name == "accepted"))
        if step["last_kind"] == "bonus":
            step["last_kind"] = "recovered"  # the first padding was "rejected"


def only_tested(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
    """Lists end at the last tested position."""
    for step in steps:
        tested = min(step["num_accepted"] + 1, len(step["draft_token_ids"]))
        for name in LISTS:
            if step.get(name) is not None:
                step[name] = step[name][:tested]


def chunks(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
    """Long prompts come in chunks, each a step without draft and without output."""
    made = []
    for mine in by_request(steps):
        first = int(rng.integers(1, 4))
        for step in mine:
            step["step"] += first
        head = {"kind": "step", "run_id": mine[0]["run_id"], "request_id": mine[0]["request_id"], "num_accepted": 0}
        made += [head | {"step": i, "draft_token_ids": [], "output_token_ids": []} for i in range(first)]
    steps[:0] = made


def front_end(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
    """A stop string, or max_tokens, cuts the answer behind the engine."""
    for number, (made, mine) in enumerate(zip(requests, by_request(steps), strict=True)):
        whole = 1 + sum(len(step["output_token_ids"]) for step in mine)
        made.update(finish_reason="stop", output_len=whole - int(rng.integers(0, 9)), max_tokens=4096)
        if number % 2:
            length = whole - int(rng.integers(0, len(mine[-1]["output_token_ids"])))
            made.update(finish_reason="length", output_len=length, max_tokens=length)


def unheeded(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
    """Benchmarks ask to ignore the end-of-sequence id, and the request line names it all the same."""
    tokens = [token for step in steps for token in step["output_token_ids"]]
    often = max(set(tokens), key=tokens.count)
    for made in requests:
        made.update(stop_token_ids=[often], finish_reason="length")


def added_tokens(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
    """vocab_size is the tokenizer's, without the tokens that were added to it."""
    run["vocab_size"] = 12
    for made in requests:
        made["stop_token_ids"] = [NEVER]


def contexts(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
    """context_len is that of the format; some requests are preempted and begin again with a smaller one."""
    for number, mine in enumerate(by_request(steps)):
        length = 40
        for place, step in enumerate(mine):
            step["context_len"] = length - (30 if number % 3 == 0 and place == 5 else 0)
            length += len(step["output_token_ids"])


LAWFUL = {f.__name__: f for f in (pad, only_tested, chunks, front_end, unheeded, added_tokens, contexts)}


@pytest.mark.one_of(8)
@pytest.mark.parametrize("law", ["ratio", *(pytest.param(x, marks=pytest.mark.slow) for x in ("one-hot", "greedy"))])
@pytest.mark.parametrize("name", LAWFUL)
def test_a_lawful_record_is_not_accused(name: str, law: str) -> None:
    found = documented(Scenario(law, edit=LAWFUL[name]))
    assert [cause["headline"] for cause in found["causes"] if cause["side"] in ("wrong", "metric")] == []
    assert found["verdict"]["state"] == "healthy"
    assert sum(loss["count"] for loss in found["inputs"][0]["losses"]) == 0


@pytest.mark.one_of(3)
@pytest.mark.parametrize("name", ["pad", "only_tested", "chunks"])
def test_figures_do_not_see_it(name: str) -> None:
    """Paddings are not drafted, chunks of a prompt are no steps of a generation."""
    shape = Shape(tau=(1, 6))
    plain = documented(Scenario(shape=shape))["acceptance"]
    odd = documented(Scenario(shape=shape, edit=LAWFUL[name]))["acceptance"]
    for figure in ("drafted", "accepted", "tested", "tokens_per_step", "rate_of_drafted", "marginal_by_position"):
        assert odd[figure] == pytest.approx(plain[figure]), figure


def _steps(mine: list[Record]) -> list[Record]:
    return mine[1:-1]


def strange_ids(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
    for step in steps[5:40:7]:
        step["output_token_ids"][-1] = run["vocab_size"] + 3


def too_many(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
    for made, mine in zip(requests, by_request(steps), strict=True):
        length = 1 + sum(len(step["output_token_ids"]) for step in mine)
        made.update(output_len=length, max_tokens=length - 2, finish_reason="length")


def off_by_some(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
    for mine in by_request(steps):
        length = 40
        for place, step in enumerate(mine):
            step["context_len"] = length
            length += len(step["output_token_ids"]) + (place % 3 == 1)


@pytest.mark.one_of(2)
@pytest.mark.parametrize(
    ("edit", "cause"),
    [(strange_ids, "corrupt-text"), (too_many, "token-accounting"), (off_by_some, "metric-inconsistent")],
)
def test_what_ids_and_counts_prove(edit: Any, cause: str) -> None:
    found = documented(Scenario(edit=edit))
    assert [c["cause"] for c in found["causes"] if c["certainty"] == "proved"] == [cause], json.dumps(found["causes"])
