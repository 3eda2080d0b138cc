"""Healthy logs accuse nobody, and an engine of four at half its siblings' acceptance is named within 20 windows.

python -m tests.healthy [--logs 1000] [--runs 100] [--only ENGINE]; exit code 1 where a log is accused of side wrong, more than 1% of
side slow, fewer than 95% of the halved engines are named, or fewer than 95% of the falls dated within two windows.
"""

import argparse
import itertools
import tempfile
from collections import Counter
from pathlib import Path

from tests.healthy.judge import accused, dated, documented, named
from tests.healthy.worlds import TRAFFIC, World
from tests.healthy.writers import NAMED, WRITERS

#: Writers of logs with a clock and counts by window.
DATED = ("vllm", "sglang", "prometheus", "lmdeploy", "tgi")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--logs", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    engines = [name for name in WRITERS if given.only in name]
    with tempfile.TemporaryDirectory() as folder:
        sides = healthy(engines, given.logs, Path(folder))
        shares = power(engines, given.runs, Path(folder)) + onsets(engines, given.runs, Path(folder))
    bad = sides["wrong"] > 0 or sides["slow"] > 0.01 * given.logs or any(s < 0.95 for s in shares)
    raise SystemExit(1 if bad else 0)


def healthy(engines: list[str], logs: int, folder: Path) -> Counter[str]:
    """Logs accused, by side; every accusation is printed."""
    sides, states = Counter[str](), Counter[str]()
    cells = itertools.cycle(itertools.product((6, 20, 60), (1, 2, 4, 8), TRAFFIC, engines))
    for seed, (length, many, traffic, engine) in zip(range(logs), cells, strict=False):
        world = World(traffic, many, length, seed, k=(3, 5, 1, 8)[seed % 4])
        found = documented(world, engine, folder)
        states[found["verdict"]["state"]] += 1
        for side in ("wrong", "slow", "metric"):
            if told := accused(found, side):
                sides[side] += 1
                print(f"{engine}, {world}: {'; '.join(told)}", flush=True)
    print(f"{logs:,} healthy logs: {sides['wrong']} accused of wrong, {sides['slow']} of slow; {dict(states)}")
    return sides


def power(engines: list[str], runs: int, folder: Path) -> list[float]:
    """By engine, the share of runs in which the engine of four that accepts half is named, alone."""
    shares = []
    for engine in (name for name in engines if runs and name in NAMED):
        worlds = [World(("steady", "mixed")[seed % 2], 4, 20, seed, half=seed % 4) for seed in range(runs)]
        hits = sum(named(documented(w, engine, folder), w.half or 0) for w in worlds)
        shares.append(hits / runs)
        print(f"{engine}: an engine of four at half its siblings' acceptance named in {hits} of {runs}", flush=True)
    return shares


def onsets(engines: list[str], runs: int, folder: Path) -> list[float]:
    """By engine whose log has counts by window, the share of runs in which the onset of a fall is dated within two windows."""
    shares = []
    for engine in (name for name in engines if runs and name in DATED):
        worlds = [World(("steady", "mixed")[seed % 2], 1, 30, seed, falls=8 + seed % 14) for seed in range(runs)]
        hits = sum(dated(documented(w, engine, folder), w.falls or 0) for w in worlds)
        shares.append(hits / runs)
        print(f"{engine}: the onset of a fall dated within two windows in {hits} of {runs}", flush=True)
    return shares


if __name__ == "__main__":
    main()
