"""Sixty nights of two services, as logs through the command's own path, and a hundred times as records.

Outside the default run: minutes. `pytest tests/nights -s` prints what was measured.
"""

from datetime import date
from pathlib import Path
from statistics import median

import numpy as np

from sdtrace.history.alarms import alarms
from sdtrace.history.state import opened
from sdtrace.nightly import add, standing
from simulate_nights import Plan, day, record, write_night


def test_healthy_nights_raise_no_alarm_in_a_hundred_runs() -> None:
    """Weekends of another mix and half the traffic, a harmless deploy in half of the runs."""
    raised = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        plan = Plan(version=lambda s, i, seed=seed: "2" if seed % 2 and i >= 30 else "1")
        raised += alarms([record(i, plan, rng) for i in range(60)])
    print(f"\n{len(raised)} alarms in 100 runs of 60 healthy nights")
    assert not raised


def test_delay_of_a_shift_in_standard_deviations_of_a_night() -> None:
    """After 28 nights the level moves by some standard deviations of a night (1.4% of the value in this traffic)."""
    for size in (1, 2, 4):
        delays = []
        for seed in range(20):
            rng = np.random.default_rng(1000 + seed)
            plan = Plan(level=lambda s, i, size=size: 1 - 0.014 * size * (s == "chat" and i >= 28))
            found = [a for a in alarms([record(i, plan, rng) for i in range(88)]) if a.service == "chat"]
            since = min((date.fromisoformat(a.since) for a in found), default=None)
            delays.append(999 if since is None else (since - date.fromisoformat(day(28))).days + 1)
        told = "not in 60 nights" if median(delays) == 999 else f"{median(delays):g} nights"
        print(f"\nshift of {size} sd: median delay {told}; {delays.count(999)} of 20 not in 60 nights")
        if size >= 2:
            assert median(delays) <= (20 if size == 2 else 5)


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
    others = {id for id, night in first.items() if night < day(26)}
    assert others == set()
    size = sum(f.stat().st_size for f in (tmp_path / "state").rglob("*") if f.is_file())
    print(f"state after 60 small nights: {size / 1e6:.1f} MB")
