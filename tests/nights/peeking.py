"""Healthy nights, looked at every night: alarms of 160 correlated series over 30 nights. SYNTHETIC.

python tests/nights/peeking.py --runs 400

A series is a check of a service: accepted or not against a chance that is known, 200 decisions a night. Half of all draws are
shared by every series of a night, so that all of them are lucky or unlucky together. Beside the alarms of the history (the
e-process of each series, e-BH over all of them, every night), what a z-test of every series would have raised every night.
"""

import argparse
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parents[2]))

from sdtrace.history.alarm import Q
from sdtrace.history.alarms import alarms
from tests.made.nights import BETS, day

SERVICES, CHECKS, NIGHTS, DECISIONS = 32, 5, 30, 200
SERIES = SERVICES * CHECKS
#: The chances that decisions have.
CHANCES = np.linspace(0.05, 0.95, 19)

Floats = npt.NDArray[np.float64]


def night(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """(gains, z): the log of what each bet of each series gains, and each series' z, of one healthy night."""
    which = rng.integers(len(CHANCES), size=(SERIES, DECISIONS))
    own = rng.random((SERIES, DECISIONS))
    draws = np.where(rng.random((SERIES, DECISIONS)) < 0.5, rng.random(DECISIONS), own)
    hits = draws < CHANCES[which]
    cell = np.arange(SERIES)[:, None] * len(CHANCES) + which
    n = np.bincount(cell.ravel(), minlength=SERIES * len(CHANCES)).reshape(SERIES, -1)
    total = hits.sum(axis=1)
    gains = np.stack([t * total - n @ np.log1p(np.expm1(t) * CHANCES) for t in BETS], axis=1)
    return gains, (total - n @ CHANCES) / np.sqrt(n @ (CHANCES * (1 - CHANCES)))


def record(i: int, gains: Floats) -> dict[str, Any]:
    """The night as the history keeps it; it has no figures."""
    service = {"fingerprint": "1", "parts": {}, "figures": {}, "cells": {}, "disagree": 0}
    evidence = {f"s{s}": {f"c{c}": gains[s * CHECKS + c].tolist() for c in range(CHECKS)} for s in range(SERVICES)}
    return {
        "night": day(i),
        "inputs": [],
        "verdict": {"state": "healthy", "headline": ""},
        "causes": [],
        "services": {name: service | {"evidence": found} for name, found in evidence.items()},
    }


def main() -> None:
    """Print what was raised; exit code 1 where more runs have an alarm than the level allows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=400)
    runs = parser.parse_args().runs
    alarmed = peeked = strict = 0
    spread = []
    for seed in range(runs):
        rng = np.random.default_rng([seed, 30])
        nights = [night(rng) for _ in range(NIGHTS)]
        alarmed += bool(alarms([record(i, gains) for i, (gains, _) in enumerate(nights)]))
        z = np.abs(np.stack([z for _, z in nights]))
        peeked, strict = peeked + int((z > 1.96).sum()), strict + int((z > 3.29).sum())
        spread.append(float(np.var([z.mean() for _, z in nights]) * SERIES))
    correlation = (np.mean(spread) - 1) / (SERIES - 1)
    print(
        f"{runs} runs of {NIGHTS} nights x {SERIES} healthy series (correlation {correlation:.2f}), looked at every night:"
    )
    allowed = math.ceil(Q * runs)
    print(
        f"runs with an alarm: {alarmed}, the level of {Q:.0%} allows {allowed}; a z-test a night at .05: {peeked:,}, at .001: {strict:,}"
    )
    raise SystemExit(1 if alarmed > allowed else 0)


if __name__ == "__main__":
    main()
