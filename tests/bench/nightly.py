"""`sdtrace nightly` of one large night against `sdtrace report` of it, pages included: a ratio, in turns, least of each.

python tests/bench/nightly.py --steps 1000000
"""

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import generate

ROUNDS = 5


def spent(command: list[str]) -> tuple[float, float]:
    """Seconds of wall clock and of processor time."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "sdtrace", *command, "-q", "--exit-zero"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, busy


def main() -> None:
    """Generate, time, print ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1_000_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables, lines = generate(folder, given.steps)
        lines.unlink()
        plain, night = [], []
        for _ in range(ROUNDS):
            plain.append(spent(["report", str(tables), "-o", str(folder / "report.html")]))
            night.append(spent(["nightly", str(tables), "--state", str(folder / "state"), "-o", str(folder / "out")]))
            shutil.rmtree(folder / "state")
            shutil.rmtree(folder / "out")
        for i, what in enumerate(("wall clock", "processor time")):
            mine, other = min(n[i] for n in night), min(p[i] for p in plain)
            print(f"nightly / report, {what:<16} {mine / other:5.2f}   ({mine:.2f} s / {other:.2f} s)")


if __name__ == "__main__":
    main()
