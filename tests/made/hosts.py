"""Requests that begin on one host and finish on another: two files, lawful but where asked."""

import json
from pathlib import Path
from random import Random
from typing import Any

SKEW = 7.5  #: s that the clock of host B is ahead
STEP = 0.05
STOP = 2


def step(run: str, request: str, number: int, at: float, context: int) -> dict[str, Any]:
    """One lawful step: one of two drafted tokens kept, two tokens appended."""
    draw = Random(f"{request} {context} {run}")
    return {
        "kind": "step", "run_id": run, "request_id": request, "step": number, "at": at, "step_ms": 40.0, "context_len": context,
        "draft_token_ids": [5, 6], "draft_probs": [0.5, 0.5], "target_probs": [0.6, 0.1], "num_accepted": 1,
        "uniforms": [draw.random(), draw.uniform(0.2, 1.0)], "output_token_ids": [5, 9], "last_kind": "recovered",
    }  # fmt: skip


def hosts(
    folder: Path,
    moves: list[tuple[str, str]],
    *,
    runs: tuple[str, str] = ("a", "b"),
    shared: int = 0,
    goes_on: bool = True,
    skew: float = SKEW,
    clocks: bool = True,
    lines: bool = False,
    wrong: bool = False,
) -> list[str]:
    """Two files of two hosts. Request i takes 4 steps on the first host of moves[i] and 4 on the second; of these, `shared` steps of
    the first half are recorded by both. `goes_on`: the second half has the context of the first one behind it. `lines`: each host
    writes a line of the request with its whole output, which ends in a stop token. `wrong`: the token that is kept had to go."""
    files: dict[str, list[dict[str, Any]]] = {"a": [], "b": []}
    for i, (first, second) in enumerate(moves):
        for number in range(8):
            here = first if number < 4 else second
            context = 100 + i + 2 * number if goes_on or number < 4 else 100 + i + 2 * (number - 4)
            copies = {here} | ({second} if number < 4 and number >= 4 - shared else set())
            for host in copies:
                at = 1_790_000_000 + i + STEP * number + (skew if host == "b" else 0.0)
                run = runs[0] if host == "a" else runs[1]
                of_part = number if runs[0] == runs[1] or number < 4 else number - 4
                row = step(run, f"q{i}", of_part, at, context)
                if wrong:
                    row |= {"uniforms": [0.9, 0.9], "target_probs": [0.05, 0.05]}
                if number == 7:
                    row["output_token_ids"] = [5, STOP]
                files[host].append(row if clocks else row | {"at": None})
    paths = []
    for host, rows in files.items():
        run = runs[0] if host == "a" else runs[1]
        head = {"kind": "run", "format": 1, "run_id": run, "rule": "ratio", "draft_sampling": "sampled"}
        ids = dict.fromkeys(row["request_id"] for row in rows) if lines else ()
        told = {"kind": "request", "run_id": run, "temperature": 1.0, "output_len": 16, "stop_token_ids": [STOP]}
        path = folder / f"host-{host}.jsonl"
        path.write_text("".join(json.dumps(r) + "\n" for r in [head, *(told | {"request_id": i} for i in ids), *rows]))
        paths.append(str(path))
    return paths
