"""Sixty nights of two services, as logs through the command's own path, and a hundred times as records.

Outside the default run: minutes. `pytest tests/nights -s` prints what was measured.
"""

from datetime import date
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from sdtrace.history.alarm import Q
from sdtrace.history.alarms import alarms
from sdtrace.history.nightly import add, standing
from sdtrace.history.state import opened
from sdtrace.stats.e_process import Process, e_bh
from tests.made.nights import BETS, Plan, day, record, write_night


def _version(deploys: tuple[int, ...], service: str, night: int) -> str:
    return str(sum(night >= deploy for deploy in deploys))


def _level(size: int, nights: int, service: str, night: int) -> float:
    return 1 - 0.014 * size * (service == "chat" and night >= nights)


def test_healthy_nights_raise_no_alarm_in_a_hundred_runs() -> None:
    """Weekends of another mix and half the traffic, harmless deploys in three quarters of the runs."""
    raised = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        plan = Plan(version=partial(_version, ((), (30,), (10, 40), (20,))[seed % 4]))
        raised += alarms([record(i, plan, rng) for i in range(60)])
    print(f"\n{len(raised)} alarms in 100 runs of 60 healthy nights")
    assert not raised


@pytest.mark.parametrize("nights", [28, 90])
def test_delay_of_a_shift_in_standard_deviations_of_a_night(nights: int) -> None:
    """After so many nights, which tell level and scatter, the level moves by some standard deviations of a night (1.4%
    of the value in this traffic). Unlike theory, nobody knows the level, the scatter, the size or the night."""
    for size, most in ((1, None), (2, {28: 14, 90: 10}[nights]), (4, 4)):
        delays = []
        for seed in range(20):
            rng = np.random.default_rng(1000 + seed)
            plan = Plan(level=partial(_level, size, nights))
            found = [a for a in alarms([record(i, plan, rng) for i in range(nights + 60)]) if a.service == "chat"]
            since = min((date.fromisoformat(a.since) for a in found), default=None)
            delays.append(999 if since is None else (since - date.fromisoformat(day(nights))).days + 1)
        told = "not in 60 nights" if median(delays) == 999 else f"{median(delays):g} nights"
        print(f"\n{nights} nights, then a shift of {size} sd: median delay {told}; {delays.count(999)} of 20 not in 60")
        assert most is None or median(delays) <= most


@pytest.mark.parametrize("tests", [24, 160])
def test_delay_of_evidence_against_a_known_law(tests: int) -> None:
    """The setting of the simulation in theory: 160 tests, of which one leaves the law by some standard deviations of its
    night (median 18, 5 and 2 nights for a bet of the right size from the right night on); 24 are those of two services.
    """
    for size, most in ((1, 30), (2, 8), (4, 2)):
        delays = [_evidence_delay(tests, size, seed) for seed in range(20)]
        print(f"\n{tests} tests, {size} sd a night: median delay {median(delays):g} nights")
        assert median(delays) <= most


def _evidence_delay(tests: int, size: float, seed: int, tokens: int = 1600) -> int:
    rng, bets = np.random.default_rng(seed), np.array(BETS)
    processes = {str(k): Process(len(BETS)) for k in range(tests)}
    for night in range(1, 61):
        for name, process in processes.items():
            chance = 0.5 + (name == "0") * size * 0.5 / np.sqrt(tokens)
            process.add(list(bets * rng.binomial(tokens, chance) - tokens * np.log((1 + np.exp(bets)) / 2)))
        found = e_bh({name: p.log_e for name, p in processes.items()}, Q)
        assert found <= {"0"}
        if found:
            return night
    return 999


def test_sixty_nights_of_logs(tmp_path: Path) -> None:
    """A deploy on night 10, a slow drift of chat's drafter from night 25, a sudden fault of code on night 50."""
    plan = Plan(
        temperature=lambda s, i: 1.0 + (0.05 * max(0, i - 25) if s == "chat" else 0.0),
        fault=lambda s, i: "lenience-0.7" if s == "code" and i >= 50 else None,
        version=lambda s, i: "2.0" if i >= 10 else "1.0",
        tested=1500,
    )
    first: dict[str, str] = {}
    for i in range(60):
        with opened(tmp_path / "state") as state:
            add(state, [str(p) for p in write_night(tmp_path / "logs", i, plan)])
            for alarm in standing(state):
                first.setdefault(alarm.id, day(i))
    print(f"\nalarms by the night they were first told: {first}")
    assert first["cause:lenient-acceptance:code"] == day(50)
    drift = [night for id, night in first.items() if id.startswith("drift:") and id.endswith(":chat")]
    assert drift, "the drift was not found"
    assert day(26) <= min(drift) <= day(45)
    assert {id: night for id, night in first.items() if night < day(26)} == {}
    size = sum(f.stat().st_size for f in (tmp_path / "state").rglob("*") if f.is_file())
    print(f"state after 60 small nights: {size / 1e6:.1f} MB")
