"""Many part files of one made traffic, for runs on one machine and on a Ray cluster."""

from pathlib import Path
from typing import Any

import numpy as np

from tests.made.simulate import Scenario, Shape, simulate


def write_parts(folder: Path, count: int, tested: int) -> list[Path]:
    """`count` part files of one run; requests are named by their part, and times follow each other."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for i in range(count):

        def placed(
            run: dict[str, Any], requests: list[Any], steps: list[Any], rng: np.random.Generator, i: int = i
        ) -> None:
            for one in [*requests, *steps]:
                one["request_id"] = f"{i:03}-{one['request_id']}"
            for n, step in enumerate(steps):
                step["at"] = 1.8e9 + 1000.0 * i + n

        fault = "lenience-0.7" if i == count - 2 else None
        trace = simulate(Scenario("ratio", fault, i, Shape(tested=tested, vocab=64), edit=placed))
        found.append(trace.write(folder / f"part-{i:03}.jsonl"))
    return found
