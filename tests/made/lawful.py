"""Lawful oddities: traces of correct engines that look wrong to a test that is too simple."""

from dataclasses import replace

import numpy as np

from tests.made.laws import LAWS, Generator
from tests.made.log import Log, Record
from tests.made.simulate import Edit, Scenario
from tests.made.world import NEVER, Shape, World
from tests.made.wrong_rules import certain_target, tempered_rows


def by_request(steps: list[Record]) -> list[list[Record]]:
    """Steps of each request, in order."""
    found: dict[str, list[Record]] = {}
    for step in steps:
        found.setdefault(step["request_id"], []).append(step)
    return list(found.values())


def shorten(step: Record, kept: int, clip: bool) -> None:
    """Keep `kept` appended tokens. `clip`: the engine counts only what it kept as accepted."""
    if kept < len(step["output_token_ids"]):
        step.update(last_kind=None, last_target_prob=None, last_draft_prob=None)
    step["output_token_ids"] = step["output_token_ids"][:kept]
    if clip and kept - 1 < step["num_accepted"]:
        step.update(num_accepted=kept - 1, accepted=None)


def cut_by_length(clip: bool) -> Edit:
    """max_tokens falls inside the last step of every request that appended more than one token there."""

    def edit(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
        for made, mine in zip(requests, by_request(steps), strict=True):
            shorten(mine[-1], max(1, len(mine[-1]["output_token_ids"]) - 1 - int(rng.integers(0, 2))), clip)
            length = 1 + sum(len(step["output_token_ids"]) for step in mine)
            made.update(output_len=length, max_tokens=length, finish_reason="length")

    return edit


def cut_by_stop(clip: bool) -> Edit:
    """Every request ends with a stop id that was emitted for the first time inside a block."""

    def edit(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
        for made, mine in zip(requests, by_request(steps), strict=True):
            index, place = _first_in_block(mine)
            token = mine[index]["output_token_ids"][place]
            shorten(mine[index], place + 1, clip)
            gone = {id(step) for step in mine[index + 1 :]}
            steps[:] = [step for step in steps if id(step) not in gone]
            length = 1 + sum(len(step["output_token_ids"]) for step in mine[: index + 1])
            made.update(output_len=length, stop_token_ids=[NEVER, token], finish_reason="stop", max_tokens=4096)

    return edit


def _first_in_block(mine: list[Record]) -> tuple[int, int]:
    """Last (step, place) whose token is new to the request and is not the last one of its step."""
    seen: set[int] = set()
    found = (len(mine) - 1, len(mine[-1]["output_token_ids"]) - 1)
    for index, step in enumerate(mine):
        for place, token in enumerate(step["output_token_ids"]):
            if token not in seen and place + 1 < len(step["output_token_ids"]):
                found = (index, place)
            seen.add(token)
    return found


def garbage(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
    """Positions after the first rejection hold whatever the engine had; decisions there are not read."""
    junk = [float("nan"), -1.0, 7.5, 0.0, float("inf")]
    for step in steps:
        for j in range(step["num_accepted"] + 1, len(step["target_probs"])):
            for name in ("target_probs", "draft_probs", "uniforms", "overlap"):
                if step[name] is not None:
                    step[name][j] = junk[int(rng.integers(len(junk)))]
        rest = len(step["draft_token_ids"]) - len(step["accepted"])
        step["accepted"] += (rng.random(rest) < 0.7).tolist()


def seeded_pairs(world: World, rng: Generator) -> World:
    """Requests 2i and 2i + 1 draw the same uniforms, keyed by (seed, step, position)."""
    count = world.request.max() // 2 + 1
    table = rng.random((count, world.step.max() + 1, world.r.shape[1]), dtype=np.float32)
    return replace(world, r=table[world.request // 2, world.step])


def name_seeds(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
    """The user gave the same seed to both requests of a pair."""
    for i, made in enumerate(requests):
        made["seed"] = 700 + i // 2


def top_k_1(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
    """The requests asked for top_k = 1, so one-hot targets are what they should be."""
    for made in requests:
        made["top_k"] = 1


def colder(world: World) -> World:
    """The log shows raw probabilities (temperature 1), the engine compared those of temperature 0.7."""
    return replace(world, p=tempered_rows(world.p, 1 / 0.7), q=tempered_rows(world.q, 1 / 0.7))


def declare_raw(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
    """And says so."""
    run["prob_basis"] = "raw"
    for made in requests:
        made["temperature"] = 0.7


def null_at_plain(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
    """Steps without draft have nulls where others have lists."""
    for step in steps:
        if not step["draft_token_ids"]:
            step.update(dict.fromkeys(("draft_probs", "target_probs", "uniforms", "accepted", "overlap", "draft_sq")))


def three_steps(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
    """A trace of three steps."""
    del steps[3:], requests[1:]
    requests[0].update(output_len=1 + sum(len(step["output_token_ids"]) for step in steps), max_tokens=4096)


def near_ties(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
    """Where two logits are almost equal, the kernel that wrote the argmax preferred the other one."""
    for step in steps:
        for j, gap in enumerate(step["target_top2_gap"]):
            if gap < 0.06:
                step["target_argmax_ids"][j] = 5 if step["target_argmax_ids"][j] != 5 else 6


def _logs() -> dict[str, Log]:
    """Log levels that every law is tried with."""
    return {
        "": Log(),
        "no-uniforms": Log(uniforms=False),
        "rule-null": Log(rule=False),
        "rule-null-no-uniforms": Log(rule=False, uniforms=False),
        "few-columns": Log(scalars=False, flags=False),
        "bfloat16": Log(dtype="bfloat16"),
        "float16": Log(dtype="float16"),
        "decimals-4": Log(dtype="decimals:4"),
        "bfloat16-undeclared": Log(dtype="bfloat16", declared=False),
        "decimals-4-undeclared": Log(dtype="decimals:4", declared=False, rule=False),
        "decimals-3-undeclared": Log(dtype="decimals:3", declared=False),
        "bare": Log(bare=True),
    }


ODD: dict[str, Scenario] = {
    "match-argmax-draft": Scenario("match", shape=Shape(argmax_draft=True)),
    "block-argmax-draft": Scenario("block", shape=Shape(argmax_draft=True)),
    "stop-in-block": Scenario(edit=cut_by_stop(clip=False)),
    "stop-in-block-clipped": Scenario(edit=cut_by_stop(clip=True)),
    "length-in-block": Scenario(edit=cut_by_length(clip=False)),
    "length-in-block-clipped": Scenario(edit=cut_by_length(clip=True)),
    "greedy-stop-in-block": Scenario("greedy", edit=cut_by_stop(clip=False)),
    "greedy-stop-in-block-clipped": Scenario("greedy", edit=cut_by_stop(clip=True)),
    "one-hot-stop-in-block-clipped": Scenario("one-hot", edit=cut_by_stop(clip=True)),
    "match-stop-in-block-clipped": Scenario("match", edit=cut_by_stop(clip=True)),
    "block-stop-in-block": Scenario("block", edit=cut_by_stop(clip=False)),
    "block-stop-in-block-clipped": Scenario("block", edit=cut_by_stop(clip=True)),
    "plain-steps": Scenario(shape=Shape(plain=0.3)),
    "plain-steps-null": Scenario(shape=Shape(plain=0.3), edit=null_at_plain),
    "greedy-plain-steps": Scenario("greedy", shape=Shape(plain=0.3)),
    "block-plain-steps": Scenario("block", shape=Shape(plain=0.3)),
    "varying-tau": Scenario(shape=Shape(tau=(0, 7))),
    "trimmed": Scenario(shape=Shape(trim=True)),
    "trimmed-whole-lists": Scenario(shape=Shape(trim=True), log=Log(whole=True)),
    "block-trimmed": Scenario("block", shape=Shape(trim=True)),
    "greedy-trimmed": Scenario("greedy", shape=Shape(trim=True), log=Log(whole=True)),
    "seeds-repeated": Scenario(remake=seeded_pairs, edit=name_seeds),
    "seeds-repeated-bare": Scenario(remake=seeded_pairs, log=Log(bare=True)),
    "garbage-untested": Scenario(edit=garbage),
    "greedy-requests": Scenario(greedy_share=0.5),
    "greedy-requests-rule-null": Scenario(greedy_share=0.5, log=Log(rule=False)),
    "greedy-requests-only": Scenario(greedy_share=1.0),
    "grammar-forced": Scenario(shape=Shape(forced=0.25)),
    "top-k-1": Scenario(remake=certain_target, edit=top_k_1),
    "drafter-temperature": Scenario(shape=Shape(draft_temperature=0.6)),
    "raw-basis": Scenario(shown=colder, edit=declare_raw),
    "three-steps": Scenario(edit=three_steps),
    "near-ties": Scenario("greedy", shape=Shape(tested=1000), edit=near_ties),
    "interleaved": Scenario(log=Log(order="interleaved")),
    "requests-last": Scenario(log=Log(order="requests-last")),
    "top-rows": Scenario(log=Log(top=8)),
    "small-vocabulary": Scenario(shape=Shape(vocab=64)),
    "large": Scenario(shape=Shape(tested=3000)),
    "large-no-uniforms": Scenario(shape=Shape(tested=3000), log=Log(uniforms=False)),
}

VARIANTS: dict[str, Scenario] = {
    f"{law}{'-' if level else ''}{level}": Scenario(law, log=log) for law in LAWS for level, log in _logs().items()
} | ODD
