"""Traces whose every token and text can be told from anything else."""

import re
from pathlib import Path

from tests.made.simulate import Scenario, Shape, simulate

CANARY = 987_650_000
TEXT = "CANARY-prompt-text"
#: A canary as a number of its own, not as digits of a fraction.
TOKEN = re.compile(rb"(?<![\d.])98765\d{4}(?![\d.])")


def canary_trace(path: Path) -> Path:
    """Wrong decisions whose every token, prompt and stray key can be told from anything else."""

    def marked(run: dict, requests: list, steps: list, rng: object) -> None:
        for request in requests:
            request.update(
                prompt_token_ids=[CANARY + 900 + i for i in range(9)], prompt=TEXT, messages=[{"content": TEXT}]
            )
            request["stop_token_ids"] = [CANARY + i for i in request["stop_token_ids"]]
        for step in steps:
            for name in ("draft_token_ids", "output_token_ids", "target_argmax_ids"):
                step[name] = [CANARY + i for i in step[name]]
            step["text"] = TEXT

    return simulate(Scenario(fault="lenience-0.7", shape=Shape(tested=300), edit=marked)).write(path)
