"""Lawful engines, never accused: python -m tests.lawful [--seeds 20] [--tested 1500] [--only WORD]; exit code 1 on an accusation.

Every variant at every log level with that many seeds; laws and roundings take turns.
"""

import argparse
import time

from sdtrace.simulate import VARIANTS
from tests.lawful.cells import accused, sweep


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--tested", type=int, default=1500)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    alarms, done, begin = 0, 0, time.monotonic()
    for cell in sweep(given.seeds):
        if given.only not in cell.variant:
            continue
        done += 1
        if found := accused(cell, given.tested):
            alarms += 1
            print(f"accused: {cell}: {'; '.join(found)}", flush=True)
    print(
        f"{alarms} accusations on {done:,} lawful traces of {len(VARIANTS)} variants ({time.monotonic() - begin:.0f} s)"
    )
    raise SystemExit(1 if alarms else 0)


if __name__ == "__main__":
    main()
