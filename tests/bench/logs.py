"""Reading a large vLLM log against `grep -c SpecDecoding` on the same file in the same run; the least of ROUNDS.

python tests/bench/logs.py --megabytes 1024
"""

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 5
READ = """
import resource, sys, time
from sdtrace.readers import open_inputs
before = resource.getrusage(resource.RUSAGE_SELF)
begin = time.perf_counter()
windows = sum(b.windows.height for o in open_inputs([sys.argv[1]]) for b in o.batches() if b.windows is not None)
after = resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(windows, time.perf_counter() - begin, cpu, after.ru_maxrss / 1024)
"""


def generate(path: Path, megabytes: int) -> None:
    """A server's log: access lines and request lines, and at 1% of the lines an Engine line or a SpecDecoding line."""
    rng = random.Random(0)
    lines: list[str] = []
    for i in range(150_000):
        stamp = f"11-23 15:{i // 60 % 60:02d}:{i % 60:02d}"
        if i % 200 == 0:
            lines.append(
                f"(APIServer pid=17612) INFO {stamp} [loggers.py:335] Engine 000: Avg prompt throughput: {rng.random() * 900:.1f} "
                f"tokens/s, Avg generation throughput: {rng.random() * 900:.1f} tokens/s, Running: {i % 64} reqs, Waiting: 0 reqs, "
                "GPU KV cache usage: 31.0%, Prefix cache hit rate: 12.5%"
            )
        elif i % 200 == 1:
            steps = rng.randint(10, 900)
            first, second = rng.randint(steps // 2, steps), rng.randint(0, steps // 2)
            accepted, drafted = first + second, steps * 2
            lines.append(
                f"(APIServer pid=17612) INFO {stamp} [metrics.py:120] SpecDecoding metrics: Mean acceptance length: "
                f"{1 + accepted / steps:.2f}, Accepted throughput: {accepted / 10:.2f} tokens/s, Drafted throughput: "
                f"{drafted / 10:.2f} tokens/s, Accepted: {accepted} tokens, Drafted: {drafted} tokens, Per-position acceptance "
                f"rate: {first / steps:.3f}, {second / steps:.3f}, Avg Draft acceptance rate: {accepted / drafted:.1%}"
            )
        elif i % 3 == 0:
            lines.append(
                f"(APIServer pid=17612) INFO {stamp} [logger.py:41] Received request chatcmpl-{rng.getrandbits(128):032x}: params: "
                "SamplingParams(n=1, presence_penalty=0.0, frequency_penalty=0.0, repetition_penalty=1.0, temperature=0.7, top_p=0.8, "
                "top_k=20, min_p=0.0, seed=None, stop=[], stop_token_ids=[], include_stop_str_in_output=False, ignore_eos=False, "
                "max_tokens=2048, min_tokens=0, logprobs=None, skip_special_tokens=True), lora_request: None."
            )
        else:
            lines.append(
                f'(APIServer pid=17612) INFO:     10.0.{i % 250}.{i * 7 % 250}:{30_000 + i % 30_000} - "POST /v1/chat/completions '
                'HTTP/1.1" 200 OK'
            )
    piece = ("\n".join(lines) + "\n").encode()
    with path.open("wb") as out:
        for _ in range(-(-megabytes * 2**20 // len(piece))):
            out.write(piece)


def grep(path: Path) -> tuple[float, float]:
    """Wall and processor seconds of grep."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        ["grep", "-c", "SpecDecoding", str(path)], check=True, stdout=subprocess.PIPE
    )  # into /dev/null it would stop at the first hit
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def read(path: Path) -> tuple[int, float, float, float]:
    """Windows, wall and processor seconds, and the peak of memory in MB, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", READ, str(path)], check=True, capture_output=True, text=True)
    windows, *figures = done.stdout.split()
    wall, cpu, peak = map(float, figures)
    return int(windows), wall, cpu, peak


def main() -> None:
    """Prints one row a size; a fourth of the size shows whether memory grows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    print("| log | lines read | grep -c | sdtrace | ratio | processor: grep, sdtrace, ratio | peak memory |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        for megabytes in (asked.megabytes // 4, asked.megabytes):
            path = Path(folder) / "vllm.log"
            generate(path, megabytes)
            greps, reads = [grep(path) for _ in range(ROUNDS)], [read(path) for _ in range(ROUNDS)]
            (wall, cpu), (rwall, rcpu) = (
                (min(g[i] for g in greps) for i in (0, 1)),
                (min(r[i] for r in reads) for i in (1, 2)),
            )
            print(
                f"| {megabytes:,} MB | {reads[0][0]:,} | {wall:.2f} s | {rwall:.2f} s | {rwall / wall:.1f} "
                f"| {cpu:.2f} s, {rcpu:.2f} s, {rcpu / cpu:.1f} | {max(r[3] for r in reads):.0f} MB |"
            )


if __name__ == "__main__":
    main()
