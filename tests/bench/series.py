"""A long series of scrapes read in bounded memory: python tests/bench/series.py [--scrapes N].

Makes an exposition of vLLM's counters (one engine, four positions, ten other series, two restarts), reports it in a
process of its own, and prints seconds, peak memory and whether every sum came out. Fails above one gigabyte.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT_MB = 1000
_NAMES = ("num_drafts", "num_draft_tokens", "num_accepted_tokens")


def write(path: Path, scrapes: int) -> tuple[int, int, int]:
    """The series; returns steps, drafted and accepted tokens that were added from the first scrape on."""
    rng, labels = random.Random(1), 'engine="0",model_name="m"'
    noise = "".join(f'vllm:time_to_first_token_seconds_bucket{{{labels},le="{i}"}} {i}.0\n' for i in range(10))
    counts, positions, truth = [0, 0, 0], [0] * 4, [0, 0, 0]
    with path.open("w") as out:
        for i in range(scrapes):
            if i in (scrapes // 3, 2 * scrapes // 3):
                counts, positions = [0, 0, 0], [0] * 4
            for _ in range(3):
                accepted = rng.randint(0, 4)
                for j, n in enumerate((1, 4, accepted)):
                    counts[j] += n
                    truth[j] += n if i else 0
                for j in range(accepted):
                    positions[j] += 1
            end = f" {1_795_453_369_000 + 5000 * i}\n"
            out.write(noise)
            out.writelines(
                f"vllm:spec_decode_{n}_total{{{labels}}} {c}.0{end}" for n, c in zip(_NAMES, counts, strict=True)
            )
            name = "vllm:spec_decode_num_accepted_tokens_per_pos_total"
            out.writelines(f'{name}{{{labels},position="{j}"}} {c}.0{end}' for j, c in enumerate(positions))
            out.write(f"vllm:num_requests_running{{{labels}}} {i % 8}.0{end}")
    return truth[0], truth[1], truth[2]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scrapes", type=int, default=100_000)
    scrapes = parser.parse_args().scrapes
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "series.prom", Path(folder) / "report.json"
        truth = write(path, scrapes)
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "sdtrace", "report", str(path), "--json", str(out), "-q"], check=True)
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        a = json.loads(out.read_text())["acceptance"]
        right = (a["steps"], a["drafted"], a["accepted"]) == truth
        size = path.stat().st_size / 1e6
    print(
        f"{scrapes:,} scrapes, {size:.0f} MB: {seconds:.1f} s, peak {peak:.0f} MB, sums {'equal' if right else 'WRONG'}"
    )
    if not right or peak > LIMIT_MB:
        sys.exit(1)


if __name__ == "__main__":
    main()
