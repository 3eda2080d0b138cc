"""What many nights say: no alarm on healthy ones, faults and drifts found, deploys told apart from drifts."""

import math
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdtrace.history.alarms import alarms
from sdtrace.history.changepoints import shifts
from sdtrace.history.levels import log_e
from sdtrace.history.mix import standardised, weights
from sdtrace.history.section import with_history
from sdtrace.history.trend import change, series
from sdtrace.results.report import Report
from sdtrace.stats.e_process import Process, e_bh
from tests.made.nights import Plan, day, record


def nights(plan: Plan, count: int, seed: int) -> list[dict]:
    rng = np.random.default_rng(seed)
    return [record(i, plan, rng) for i in range(count)]


@pytest.mark.slow
def test_an_e_process_of_a_level_is_fair_at_every_night() -> None:
    """Its mean under the null is 1 at most, for any level and scale, with night errors that differ."""
    rng = np.random.default_rng(5)
    variances = rng.uniform(0.5, 4.0, 12)
    runs = [log_e(list(7 + 3 * np.sqrt(variances) * rng.standard_normal(12)), list(variances)) for _ in range(1500)]
    values = np.exp(np.minimum(np.array(runs), 12.0))
    assert (values.mean(axis=0) <= 1 + 4 * values.std(axis=0) / math.sqrt(len(runs)) + 1e-9).all()
    assert (np.exp(np.array(runs)).max(axis=1) >= 20).mean() <= 1 / 20


@given(shift=st.floats(-50, 50), scale=st.floats(0.01, 100), seed=st.integers(0, 50))
@settings(max_examples=30, deadline=None)
def test_level_and_scale_do_not_matter(shift: float, scale: float, seed: int) -> None:
    y = np.random.default_rng(seed).standard_normal(9)
    v = [1.0] * 9
    assert log_e(list(y), v) == pytest.approx(log_e(list(shift + scale * y), v), abs=1e-4)


def test_bets_on_lawful_coins_stay_fair() -> None:
    rng = np.random.default_rng(3)
    tops = []
    for _ in range(300):
        process = Process(2)
        top = 0.0
        for _ in range(20):
            hits = rng.random(100) < 0.5
            process.add([float(np.where(hits, math.log(1 + t), math.log(1 - t)).sum()) for t in (-0.2, 0.2)])
            top = max(top, process.log_e)
        tops.append(top)
    assert np.mean(np.array(tops) >= math.log(20)) <= 0.05


def test_e_bh_rejects_by_rank() -> None:
    assert e_bh({"a": math.log(400), "b": math.log(10), "c": 0.0, "d": 0.0}, 0.01) == {"a"}
    assert e_bh({"a": math.log(399)} | dict.fromkeys("bcd", 0.0), 0.01) == set()
    assert e_bh({"a": math.log(200), "b": math.log(200), "c": 0.0, "d": 0.0}, 0.01) == {"a", "b"}


@pytest.mark.one_of(3)
@pytest.mark.parametrize("seed", range(4))
def test_healthy_nights_raise_no_alarm(seed: int) -> None:
    assert alarms(nights(Plan(), 60, seed)) == []


def test_a_weekend_is_no_change() -> None:
    """As counted the weekend gains a third less; at the usual mix nothing moves."""
    found = series(nights(Plan(), 14, 1), "chat", "tokens_per_step")
    raw = {p.night: p.raw for p in found}
    assert raw[day(4)] < 0.85 * raw[day(2)]
    values = [p.value for p in found]
    assert max(values) / min(values) < 1.1


def test_a_drift_is_found_in_its_service_alone() -> None:
    """From night 28 on the drafter loses half a percent a night."""
    plan = Plan(level=lambda service, i: 1 - 0.005 * max(0, i - 28) * (service == "chat"))
    found = alarms(nights(plan, 50, 2))
    assert {a.service for a in found} == {"chat"}
    assert {a.kind for a in found} == {"drift"}
    first = min(date.fromisoformat(a.since) for a in found)
    assert 0 < (first - date.fromisoformat(day(28))).days <= 14
    assert "fell by" in found[0].headline


def test_a_deploy_that_costs_is_blamed_and_one_that_does_not_is_not() -> None:
    def version(service: str, i: int) -> str:
        return "2.0" if i >= 20 else "1.0"

    costly = Plan(level=lambda s, i: 0.93 if s == "chat" and i >= 20 else 1.0, version=version)
    found = alarms(nights(costly, 30, 3))
    assert {(a.kind, a.service) for a in found} == {("deploy", "chat")}
    assert "engine_version 1.0 -> 2.0" in found[0].advice
    assert min(a.since for a in found) <= day(24)
    assert alarms(nights(Plan(version=version), 40, 4)) == []


def test_a_deploy_begins_the_evidence_anew() -> None:
    """Betting gains of a fault stand as an alarm until a deploy, and not behind it."""
    rows = nights(Plan(version=lambda s, i: "2.0" if i >= 8 else "1.0"), 9, 5)
    for r in rows[3:8]:
        r["services"]["chat"]["evidence"]["SD201"] = [5.0] * 10
    standing = alarms(rows[:8])
    assert [a.id for a in standing] == ["evidence:SD201:chat"]
    assert standing[0].since == day(4)
    assert alarms(rows) == []


def test_acknowledgements_run_out() -> None:
    rows = nights(Plan(), 8, 6)
    for r in rows[3:]:
        r["services"]["chat"]["evidence"]["SD201"] = [5.0] * 10
    known = [{"alarm": "evidence:SD201:chat", "until": day(6), "why": "ticket 12"}]
    assert [a.until for a in alarms(rows[:7], known)] == [day(6)]
    assert [(a.until, a.expired) for a in alarms(rows, known)] == [(None, day(6))]


def test_an_alarm_of_many_nights_is_the_verdict_of_the_last() -> None:
    """A night that looks healthy alone is not called so while a drift alarms; a known one leaves it alone."""
    plan = Plan(level=lambda service, i: 0.9 if service == "chat" and i >= 20 else 1.0)
    rows = nights(plan, 30, 2)
    document = {"verdict": {"state": "healthy", "headline": "", "not_checked": []}, "history": None}
    told = with_history(Report(document, [], []), rows, []).document
    assert told["verdict"]["state"] == "slow"
    assert "of chat fell by" in told["verdict"]["headline"]
    known = [{"alarm": a["id"], "until": day(60), "why": ""} for a in told["history"]["alarms"]]
    assert with_history(Report(document, [], []), rows, known).document["verdict"]["state"] == "healthy"


def test_change_points_are_told_by_night_and_size() -> None:
    plan = Plan(level=lambda s, i: 0.9 if s == "chat" and i >= 30 else 1.0)
    rows = nights(plan, 60, 7)
    found = shifts(series(rows, "chat", "tokens_per_step"))
    assert [s.night for s in found] == [day(30)]
    assert found[0].change == pytest.approx(-0.1, abs=0.02)
    assert shifts(series(rows, "code", "tokens_per_step")) == []


def test_the_baseline_is_that_of_the_deploy() -> None:
    plan = Plan(level=lambda s, i: 0.8 if i >= 10 else 1.0, version=lambda s, i: "2" if i >= 10 else "1")
    rows = nights(plan, 20, 8)
    told = change(series(rows, "chat", "tokens_per_step"))
    assert told.nights == 9
    assert told.low < 0 < told.high
    first = change(series(rows[:11], "chat", "tokens_per_step"))
    assert first.change == pytest.approx(-0.2, abs=0.05)


@given(share=st.floats(0.1, 0.9))
@settings(max_examples=20, deadline=None)
def test_standardising_undoes_a_change_of_mix(share: float) -> None:
    def cell(value: float, weight: float) -> dict[str, list[float]]:
        d = 100 * weight
        return {"tokens_per_step": [10.0, value * d, d, value * value * d * d / 10, value * d * d / 10, d * d / 10]}

    usual = weights([{"a": cell(2.0, 0.5), "b": cell(3.0, 0.5)}], "tokens_per_step")
    found = standardised({"a": cell(2.0, share), "b": cell(3.0, 1 - share)}, "tokens_per_step", usual)
    assert found is not None
    assert found[0] == pytest.approx(2.5)
    assert standardised({"c": cell(2.0, 1.0)}, "tokens_per_step", usual) is None
