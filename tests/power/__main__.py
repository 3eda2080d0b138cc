"""The power and false-alarm table: python -m tests.power [--blocks 20] [--sizes 300,1000] [--healthy 0] [--faults a,b:0.97].

A fault may have a strength behind a colon. `--world` is one of `tests.power.worlds`.
"""

import argparse
import itertools
import time
from collections import Counter

from sdtrace.simulate import FAULTS, LAWS, LEVELS, Settings
from tests.power.judge import Verdict, at_level, judged, made
from tests.power.worlds import WORLDS

DTYPES = ("float32", "bfloat16", "float16", "decimals:4", "decimals:3", "float64")
SHORT = ("basic", "sums", "draws")


def power(faults: list[str], sizes: list[int], blocks: int, vocab: int, world: str) -> None:
    """Share of blocks in which the fault is named first, by log level (basic/sums/draws, and rows where they tell) and size."""
    print("| fault | " + " | ".join(f"{n:,}" for n in sizes) + " | named instead |\n|---|" + "---|" * (len(sizes) + 1))
    for given in faults:
        name, _, strength = given.partition(":")
        row, other = [], Counter[str]()
        levels = LEVELS if FAULTS[name].cause == "shared-noise" else SHORT
        for size in sizes:
            hits = dict.fromkeys(levels, 0)
            for block in range(blocks):
                size_of = float(strength) if strength else None
                planted = Settings(name, size_of, tested=size, vocab=vocab, level=levels[-1], seed=1000 * size + block)
                trace = made(planted, world)
                for level in levels:
                    verdict = judged(at_level(trace, level, FAULTS[name].laws[0]))
                    hits[level] += verdict.causes[:1] == (FAULTS[name].cause,)
                    other.update(_wrong(verdict, name, level))
            row.append("/".join(_share(hits[level], blocks) for level in levels))
        named = ", ".join(f"{cause} {n}" for cause, n in other.most_common(3))
        print(f"| {given} | " + " | ".join(row) + f" | {named} |", flush=True)


def _wrong(verdict: Verdict, name: str, level: str) -> list[str]:
    return [f"{cause} ({level})" for cause in verdict.causes if cause != FAULTS[name].cause]


def _share(hits: int, blocks: int) -> str:
    return f"{hits / blocks:.2f}".removeprefix("0").replace("1.00", "1").replace(".00", "0")


def healthy(traces: int, size: int, vocab: int, world: str) -> int:
    """Alarms on healthy traces over all laws, roundings and log levels, declared or not."""
    kinds = itertools.cycle(itertools.product(LAWS, DTYPES, SHORT, (True, True, False)))
    alarms, begin = 0, time.monotonic()
    for seed, (law, dtype, level, declared) in zip(range(traces), kinds, strict=False):
        settings = Settings("healthy", None, law, size, vocab, 1 + seed % 7, dtype, "draws", 10**6 + seed, declared)
        verdict = judged(at_level(made(settings, world), level, law))
        if verdict.causes or any(code.startswith("SD2") for code in verdict.fired):
            alarms += 1
            print(f"alarm: {settings} {level} {verdict}", flush=True)
    print(f"{alarms} alarms on {traces} healthy traces of {size:,} tested positions ({time.monotonic() - begin:.0f} s)")
    return alarms


def main() -> None:
    """Print what is asked for; exit code 1 on an alarm."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--blocks", type=int, default=20)
    parser.add_argument("--sizes", default="300,1000,3000,10000")
    parser.add_argument("--faults", default=",".join(n for n in FAULTS if n != "healthy"))
    parser.add_argument("--vocab", type=int, default=256)
    parser.add_argument("--world", default="zipf", choices=WORLDS)
    parser.add_argument("--healthy", type=int, default=0, help="that many healthy traces, and no power table")
    given = parser.parse_args()
    sizes = [int(n) for n in given.sizes.split(",")]
    if given.healthy:
        raise SystemExit(1 if healthy(given.healthy, sizes[0], given.vocab, given.world) else 0)
    power(given.faults.split(","), sizes, given.blocks, given.vocab, given.world)


if __name__ == "__main__":
    main()
