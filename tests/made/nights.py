"""Nights of made traffic: as logs of two services, and as records alone where hundreds are wanted. SYNTHETIC."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from tests.made.simulate import Scenario, Shape, simulate

#: A Tuesday, so long ago that years of nights are behind the clock.
FIRST = date(2020, 9, 1)
SERVICES = ("chat", "code")
#: Shifts of the log odds that evidence bets on.
BETS = (-0.8, -0.4, -0.2, -0.1, -0.05, 0.05, 0.1, 0.2, 0.4, 0.8)


def day(i: int) -> str:
    """The i-th night."""
    return (FIRST + timedelta(days=i)).isoformat()


@dataclass(frozen=True)
class Plan:
    """What happens when: `level(service, i)` scales acceptance in records, `temperature(service, i)` the drafter of logs;
    `fault(service, i)` is planted in logs; `version(service, i)` is the engine's."""

    level: Callable[[str, int], float] = lambda service, i: 1.0
    temperature: Callable[[str, int], float] = lambda service, i: 1.0
    fault: Callable[[str, int], str | None] = lambda service, i: None
    version: Callable[[str, int], str] = lambda service, i: "1.0"
    tested: int = 400


def write_night(folder: Path, i: int, plan: Plan, *, seed: int = 0) -> list[Path]:
    """One log a service, named by service and night, with the times of that night."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_log(folder / f"{service}-{day(i)}.jsonl", service, i, plan, seed) for service in SERVICES]


def _log(path: Path, service: str, i: int, plan: Plan, seed: int) -> Path:
    start = datetime.fromisoformat(day(i)).replace(tzinfo=UTC).timestamp() + 3600
    run = f"{service}-{i}-{seed}"

    def placed(record: dict[str, Any], requests: list[Any], steps: list[Any], rng: np.random.Generator) -> None:
        version = plan.version(service, i)
        record.update(run_id=run, engine_version=version, config={"deployment": service, "host": f"node-{i}"})
        at = start
        for step in steps:
            step.update(run_id=run, at=at)
            at += step["step_ms"] / 1e3
        prose = 0.3 if weekday(i) else 0.8
        for request in requests:
            request.update(run_id=run, tags={"task": "prose" if rng.random() < prose else "code"})

    shape = Shape(tested=plan.tested, vocab=64, draft_temperature=plan.temperature(service, i))
    number = seed * 100_000 + i * 10 + SERVICES.index(service)
    return simulate(Scenario("ratio", plan.fault(service, i), number, shape, edit=placed)).write(path)


def weekday(i: int) -> bool:
    """Whether the night is none of a weekend."""
    return (FIRST + timedelta(days=i)).weekday() < 5


def record(i: int, plan: Plan, rng: np.random.Generator, requests: int = 200) -> dict[str, Any]:
    """The record of a night as the history keeps it, drawn from the distribution of its sums by request."""
    services = {}
    for service in SERVICES:
        cells = _cells(i, plan.level(service, i), rng, requests)
        totals = {
            m: np.sum([cell[m] for cell in cells.values()], axis=0) for m in ("tokens_per_step", "rate_of_drafted")
        }
        parts = {"engine_version": plan.version(service, i)}
        services[service] = {
            "fingerprint": plan.version(service, i),
            "parts": parts,
            "figures": {m: float(sums[1] / sums[2]) for m, sums in totals.items()}
            | {"steps": int(totals["tokens_per_step"][2])},
            "cells": cells,
            "evidence": _evidence(rng),
            "disagree": 0,
        }
    verdict = {"state": "healthy", "headline": "none disagrees"}
    return {"night": day(i), "inputs": [], "verdict": verdict, "causes": [], "services": services}


def _cells(i: int, level: float, rng: np.random.Generator, requests: int) -> dict[str, dict[str, list[float]]]:
    """Weekends are half of the traffic, and mostly prose."""
    shares = {"code": 0.7, "prose": 0.3} if weekday(i) else {"code": 0.2, "prose": 0.8}
    found = {}
    for name, usual in (("code", 3.0), ("prose", 2.0)):
        g = max(3, int(requests * shares[name] * (1.0 if weekday(i) else 0.5)))
        steps = rng.lognormal(3.0, 0.7, g).round() + 1
        gained = steps * (usual * level + 0.35 * rng.standard_normal(g))
        pairs = {"tokens_per_step": (gained, steps), "rate_of_drafted": (gained - steps, 4 * steps)}
        found[f"{name}, sampled"] = {
            m: [float(g), a.sum(), d.sum(), (a * a).sum(), (a * d).sum(), (d * d).sum()] for m, (a, d) in pairs.items()
        }
    return found


def _evidence(rng: np.random.Generator, tokens: int = 500) -> dict[str, list[float]]:
    """Log likelihood ratios of lawful coins at shifted log odds."""
    chance = rng.uniform(0.05, 0.95, tokens)
    hit = rng.random(tokens) < chance
    return {"SD201": [float(t * hit.sum() - np.log1p(np.expm1(t) * chance).sum()) for t in BETS]}
