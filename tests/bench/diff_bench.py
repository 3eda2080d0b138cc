"""`sdtrace diff` of two Parquet traces against `sdtrace report` of one of them, in process, best of 3 each.

python tests/bench/diff_bench.py --steps 1000000
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from sdtrace.api import diff, report

TAU, PER_REQUEST, ROUNDS = 5, 50, 3


def write(folder: Path, steps: int, seed: int) -> Path:
    """A lawful ratio trace with durations, batches of 1 to 32 and two tasks."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    p, q, r = rng.random((3, steps, TAU))
    accepted = r <= np.minimum(1, p / q)
    ids = rng.integers(10, 50_000, (steps, TAU))
    batch = rng.integers(1, 33, steps)
    requests = -(-steps // PER_REQUEST)
    table = pl.DataFrame(
        {
            "request_id": [f"r{i // PER_REQUEST}" for i in range(steps)],
            "step": np.arange(steps) % PER_REQUEST,
            "at": 1.7e9 + np.arange(steps) * 0.002,
            "draft_token_ids": pl.Series(ids).arr.to_list(),
            "draft_probs": pl.Series(q).arr.to_list(),
            "target_probs": pl.Series(p).arr.to_list(),
            "uniforms": pl.Series(r).arr.to_list(),
            "num_accepted": np.where(accepted.all(axis=1), TAU, np.argmin(accepted, axis=1)),
            "draft_ms": 2 + rng.random(steps),
            "verify_ms": 12 + 0.18 * batch + rng.random(steps),
            "step_ms": 17 + 0.18 * batch + rng.random(steps),
            "batch_size": batch,
            "batch_tokens": batch * (TAU + 1),
            "context_len": 200 + np.arange(steps) % PER_REQUEST * 3,
        }
    ).with_columns(
        run_id=pl.lit("bench"),
        output_token_ids=pl.concat_list(pl.col("draft_token_ids").list.head("num_accepted"), pl.lit(60_000, pl.Int64)),
    )
    table.write_parquet(folder / "steps.parquet", row_group_size=65_536)
    run = {"run_id": "bench", "rule": "ratio", "method": "eagle", "num_draft_tokens": TAU}
    pl.DataFrame([run]).write_parquet(folder / "runs.parquet")
    names = [f"r{i}" for i in range(requests)]
    tags = [f'{{"task":"{"code" if i % 3 else "chat"}"}}' for i in range(requests)]
    known = {"run_id": ["bench"] * requests, "request_id": names, "temperature": [0.8] * requests, "tags": tags}
    pl.DataFrame(known).write_parquet(folder / "requests.parquet")
    return folder


def best(work: Callable[[], object]) -> tuple[float, float]:
    """Least wall and processor seconds of ROUNDS runs."""
    walls, busy = [], []
    for _ in range(ROUNDS):
        wall, processor = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        busy.append(time.process_time() - processor)
    return min(walls), min(busy)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000)
    steps = parser.parse_args().steps
    with tempfile.TemporaryDirectory() as folder:
        one, other = (str(write(Path(folder) / name, steps, seed)) for seed, name in enumerate(("base", "candidate")))
        single, both = best(lambda: report(one)), best(lambda: diff(one, other))
    print(
        f"{steps:,} steps: diff takes {both[0] / single[0]:.2f} times a report (processor time {both[1] / single[1]:.2f})"
    )


if __name__ == "__main__":
    main()
