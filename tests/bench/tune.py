"""Seconds of `sdtrace tune` over those of `sdtrace report` on the same trace, and seconds of each policy over all of it.

python tests/bench/tune.py --steps 1000000
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import sdtrace
from sdtrace.tuning.run import Asked, tuned
from sdtrace.tuning.whatif.compare import Bench
from tests.made.text import World, mixed, record, traffic

LENGTH, TAU, ROUNDS = 160, 4, 3


def made(steps: int) -> tuple[World, pl.DataFrame]:
    """Requests of LENGTH tokens in batches of 4, 8 and 32; a batch costs time."""
    rng = np.random.default_rng(0)
    requests = max(20, round(steps * 3.22 / LENGTH))
    world = mixed(requests, LENGTH, rng)
    table = record(world, TAU, ms=(2.0, 20.0), batch=rng.choice([4, 8, 32], requests))
    return world, table.with_columns(step_ms=pl.col("step_ms") + 1.5 * pl.col("batch_size"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1_000_000)
    given = parser.parse_args()
    _, table = made(given.steps)
    with tempfile.TemporaryDirectory() as folder:
        held = [
            name for name in table.columns if table[name].null_count() < table.height and name not in ("line", "tags")
        ]
        table.select(held).write_parquet(Path(folder) / "steps.parquet")
        run = {"run_id": "made", "rule": "ratio", "method": "draft_model", "engine": "vllm", "prob_dtype": "float64"}
        pl.DataFrame([run]).write_parquet(Path(folder) / "runs.parquet")
        seconds: dict[str, list[float]] = {"report": [], "tune": []}
        for _ in range(ROUNDS):
            for name, verb in (("report", sdtrace.report), ("tune", sdtrace.tune)):
                begin = time.perf_counter()
                verb(folder, baseline_ms=22.0)
                seconds[name].append(time.perf_counter() - begin)
    report, tune = (statistics.median(seconds[name]) for name in ("report", "tune"))
    print(f"{table.height:,} steps: report {report:.1f} s, tune {tune:.1f} s, ratio {tune / report:.2f}")
    bench = Bench(tuned(traffic(table), Asked(baseline_ms=22.0)), Asked(baseline_ms=22.0))
    for policy in bench.policies():
        begin = time.perf_counter()
        row = bench.row(policy)
        print(f"{policy.name}: {time.perf_counter() - begin:.1f} s, {row['tokens_per_step']:.2f} tokens per step")


if __name__ == "__main__":
    main()
