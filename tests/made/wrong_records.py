"""Wrong records: steps that append what they cannot, or show what no engine can have computed."""

from collections.abc import Callable
from typing import Any

from tests.made.laws import Generator
from tests.made.world import NEVER

Record = dict[str, Any]


def _steps(steps: list[Record], rng: Generator, share: float) -> list[Record]:
    """A random share of the steps, of at least three that drafted."""
    drafted = [step for step in steps if step["draft_token_ids"]]
    chosen = rng.permutation(len(drafted))[: max(3, round(share * len(drafted)))]
    return [drafted[i] for i in chosen]


def poison(column: str, value: float) -> Callable[[list[Record], list[Record], Generator], None]:
    """2% of the tested positions show a value that is no probability; the decision was right."""

    def write(steps: list[Record], requests: list[Record], rng: Generator) -> None:
        for step in _steps(steps, rng, 0.05):
            step[column][int(rng.integers(0, min(step["num_accepted"] + 1, len(step[column]))))] = value

    return write


def drop_bonus(steps: list[Record], requests: list[Record], rng: Generator) -> None:
    """A fully accepted block appends no token of the target's own."""
    for step in steps:
        if step["last_kind"] == "bonus":
            step["output_token_ids"].pop()
            step.update(last_kind=None, last_target_prob=None, last_draft_prob=None)


def repeat_bonus(steps: list[Record], requests: list[Record], rng: Generator) -> None:
    """The token after a fully accepted block is appended twice."""
    for step in steps:
        if step["last_kind"] == "bonus":
            step["output_token_ids"].append(step["output_token_ids"][-1])


def append_more(steps: list[Record], requests: list[Record], rng: Generator) -> None:
    """A twentieth of the steps appends one token more than it can."""
    for step in _steps(steps, rng, 0.05):
        taken = set(step["output_token_ids"]) | set(step["draft_token_ids"])
        step["output_token_ids"].append(next(token for token in range(20, 60) if token not in taken))


def other_prefix(steps: list[Record], requests: list[Record], rng: Generator) -> None:
    """What is appended in place of an accepted token is not that token."""
    for step in _steps([step for step in steps if step["num_accepted"] > 0], rng, 0.1):
        taken = set(step["output_token_ids"]) | set(step["draft_token_ids"])
        step["output_token_ids"][0] = next(token for token in range(20, 60) if token not in taken)


def past_stop(steps: list[Record], requests: list[Record], rng: Generator) -> None:
    """A stop id comes in the middle of a step, and generation goes on. At the end of a step it ends the request, as it should: an id
    that stands there earlier is none that this engine knows as a stop."""
    for request in requests:
        mine = [step for step in steps if step["request_id"] == request["request_id"]]
        ends = {step["output_token_ids"][-1] for step in mine[:-1] if step["output_token_ids"]}
        long = [step for step in mine[: len(mine) // 2 + 1] if len(step["output_token_ids"]) > 2]
        long = [step for step in long if step["output_token_ids"][0] not in ends]
        last = mine[-1]["output_token_ids"][-1:]
        stops = [long[-1]["output_token_ids"][0]] if long else []
        request["stop_token_ids"] = [NEVER, *stops, *(token for token in last if token not in ends)]
