"""Comparisons of a trace with another one of the same engine and traffic: how often they alarm, how well intervals cover.

python tests/power/diff_power.py --pairs 200
"""

import argparse
import math
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from sdtrace.api import diff
from tests.made.timing import Engine, Traffic, drive

#: Traffic whose requests differ much from each other, as the clustered intervals must bear.
TRAFFIC = Traffic(requests=60, output=(30, 90), spread=0.12, batch=(1, 6))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=200)
    pairs = parser.parse_args().pairs
    answers: Counter[str] = Counter()
    covered: Counter[str] = Counter()
    told: Counter[str] = Counter()
    slices = 0
    with tempfile.TemporaryDirectory() as folder:
        one, other = Path(folder) / "a", Path(folder) / "b"
        for seed in range(pairs):
            drive(Engine(), TRAFFIC, 2 * seed).write(one)
            drive(Engine(), TRAFFIC, 2 * seed + 1).write(other)
            found = diff(str(one), str(other)).document["diff"]
            answers[found["answer"]] += 1
            slices += any(row["confirmed"] for row in found["slices"])
            rows = [(m["name"], m["low"], m["high"]) for m in found["metrics"]]
            rows += [(f"term {t['term']}", t["low"], t["high"]) for t in found["attribution"]]
            for name, low, high in rows:
                if low is not None and not math.isclose(low, high, abs_tol=1e-12):
                    told[name] += 1
                    covered[name] += low <= 0 <= high
    print(f"{pairs} pairs of equal engines: {dict(answers)}; {slices} with a confirmed slice")
    for name in told:
        print(f"{name:34} covers {covered[name] / told[name]:.3f} of {told[name]}")


if __name__ == "__main__":
    main()
