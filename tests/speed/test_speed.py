"""The ledger adds up, a shared step counts once, and a baseline is given where the trace identifies it and refused where not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdtrace.api import report
from sdtrace.audit.audit import audit
from sdtrace.checks import CHECKS
from sdtrace.readers import open_inputs
from sdtrace.speed.cost import step_cost
from sdtrace.stats.isotonic import isotonic
from sdtrace.stats.jackknife import jackknife
from tests.made.timing import Driven, Engine, Traffic, drive


def times(made: Driven, folder: Path, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = report(str(made.write(folder)), **more).document["time"]
    return found


def truth(engine: Engine, made: Driven) -> tuple[float, float]:
    """Mean plain step and the speed-up of what was recorded, from the engine's own formula."""
    steps = made.steps.group_by("engine_step").agg(
        pl.col("batch_size", "step_ms").first(), gained=pl.col("output_token_ids").list.len().sum()
    )
    plain = np.array([engine.step(b, 0) for b in steps["batch_size"]])
    worth = (steps["gained"] / steps["batch_size"]).to_numpy() * plain
    return float(plain.mean()), float(worth.sum() / steps["step_ms"].sum())


def line(step: int, request: str = "a", **more: Any) -> dict[str, Any]:
    row = {"kind": "step", "request_id": request, "step": step, "draft_token_ids": [5, 6 + step], "num_accepted": 1}
    return row | {"output_token_ids": [5, 90 + step]} | more


def written(folder: Path, *rows: dict[str, Any]) -> dict[str, Any] | None:
    path = folder / "trace.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found: dict[str, Any] | None = report(str(path)).document["time"]
    return found


@pytest.mark.one_of(3)
@pytest.mark.parametrize("engine", [Engine(), Engine(overlap=True), Engine(parts=False)])
def test_parts_add_up_to_wall_time(engine: Engine, tmp_path: Path) -> None:
    made = drive(engine, Traffic(requests=30))
    time = times(made, tmp_path)
    parts = [time[f"{name}_ms"] for name in ("draft", "verify", "sample", "unattributed")]
    assert sum(part for part in parts if part is not None) == pytest.approx(time["step_ms"])
    once = made.steps.unique("engine_step")
    assert time["step_ms"] == pytest.approx(once["step_ms"].mean())
    assert time["engine_steps"] == pytest.approx(once.height)
    assert (time["hidden_ms"] > 0) is engine.overlap
    assert (time["draft_ms"] is None) is not engine.parts


@pytest.mark.one_of(3)
@pytest.mark.parametrize(
    ("start", "axis", "unit"), [(2e9, "clock", "time (UTC)"), (100.0, "seconds", "seconds"), (None, "", "interval")]
)
def test_step_time_stands_on_the_clock_of_its_steps(start: float | None, axis: str, unit: str, tmp_path: Path) -> None:
    """A step a second, which takes ten times as long from the 40th on; without times in stretches of 1,024 lines."""
    timed: list[dict[str, Any]] = [{"at": start + i} for i in range(60)] if start is not None else [{}] * 4000
    rows = [line(i, step_ms=10.0 if i < 40 else 100.0, batch_size=1, **at) for i, at in enumerate(timed)]
    (tmp_path / "trace.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (section,) = [s for s in report(str(tmp_path / "trace.jsonl")).sections if s.id == "time-over-time"]
    assert section.chart is not None
    assert (section.chart.axis, section.columns[0]) == (axis, unit)
    if start is None:
        assert (section.chart.at, section.chart.x) == ([], ["0", "1", "2", "3"])
        return
    assert section.chart.at == [start + i for i in range(60)]
    assert (
        f"in 60 intervals of 1 s. It changes most at {'03:34:00' if axis == 'clock' else '140 s'}, " in section.sentence
    )


@pytest.mark.slow
def test_a_shared_step_counts_once_however_the_file_is_ordered(tmp_path: Path) -> None:
    made = drive(Engine(), Traffic(requests=30))
    by_request = Driven(made.run, made.requests, made.steps.sort("request_id", "step"))
    one, two = times(made, tmp_path / "one"), times(by_request, tmp_path / "two")
    assert {k: v for k, v in one.items() if isinstance(v, float)} == pytest.approx(
        {k: v for k, v in two.items() if isinstance(v, float)}
    )


def test_lines_without_a_batch_size_share_a_step_by_its_time(tmp_path: Path) -> None:
    rows = [line(i, name, at=100.0 + i, step_ms=10.0 * (i + 1)) for i in range(4) for name in "ab"]
    time = written(tmp_path, *rows, line(4, "a", at=104.0, step_ms=200.0))
    assert time is not None
    assert time["engine_steps"] == pytest.approx(5)
    assert time["step_ms"] == pytest.approx((10 + 20 + 30 + 40 + 200) / 5)


@pytest.mark.slow
def test_without_a_duration_there_is_no_time_section(tmp_path: Path) -> None:
    assert written(tmp_path, line(0), line(1)) is None
    assert written(tmp_path, line(0, step_ms=-1.0), line(1, step_ms=float("nan"))) is None


def test_the_sum_of_parts_stands_in_for_a_missing_wall_time(tmp_path: Path) -> None:
    time = written(tmp_path, line(0, draft_ms=2.0, verify_ms=8.0), line(1, draft_ms=4.0, verify_ms=8.0))
    assert time is not None
    assert (time["step_ms"], time["unattributed_ms"]) == (11.0, 0.0)


@pytest.mark.slow
def test_one_draft_length_is_refused_and_bounded(tmp_path: Path) -> None:
    engine = Engine(tau=(4, 4))
    made = drive(engine, Traffic(batch=(1, 16)))
    time = times(made, tmp_path)
    assert (time["baseline_basis"], time["baseline_ms"], time["speedup"]) == ("bounds", None, None)
    assert time["speedup_low"] <= truth(engine, made)[1] <= time["speedup_high"]
    assert "refused" in time["baseline_why"]
    assert "1% of engine steps, drawn at random at batch sizes 1 to 1" in time["baseline_ask"]


@pytest.mark.one_of(3)
@pytest.mark.parametrize("batch", [(1, 1), (4, 4), (1, 24)])
def test_no_interval_without_identification(batch: tuple[int, int], tmp_path: Path) -> None:
    time = times(drive(Engine(tau=(3, 3), ragged=0.0), Traffic(batch=batch, requests=40)), tmp_path)
    assert time["baseline_basis"] == "bounds"
    assert time["break_even_tokens_per_step"] is None


@pytest.mark.one_of(3)
@pytest.mark.parametrize(
    ("engine", "basis"),
    [
        (Engine(tau=(1, 5)), "regression"),
        (Engine(tau=(1, 5), knee=(48, 0.1)), "regression"),
        (Engine(tau=(4, 4), plain=0.03), "plain-steps"),
    ],
)
def test_identified_baselines_are_near_the_truth(engine: Engine, basis: str, tmp_path: Path) -> None:
    made = drive(engine, Traffic(batch=(1, 16)))
    time = times(made, tmp_path)
    plain, gain = truth(engine, made)
    assert time["baseline_basis"] == basis
    assert time["baseline_ms"] == pytest.approx(plain, rel=0.03)
    assert time["speedup_low"] < gain < time["speedup_high"]
    assert time["speedup"] == pytest.approx(gain, rel=0.03)


@pytest.mark.slow
def test_a_given_baseline_is_used(tmp_path: Path) -> None:
    engine = Engine()
    made = drive(engine, Traffic(batch=(2, 2), requests=30))
    time = times(made, tmp_path, baseline_ms=engine.step(2, 0))
    assert time["baseline_basis"] == "given"
    assert time["speedup"] == pytest.approx(truth(engine, made)[1], rel=2e-3)  # alone at the end
    assert time["break_even_tokens_per_step"] == pytest.approx(time["step_ms"] / engine.step(2, 0))


@pytest.mark.slow
def test_a_trace_without_speculation_beside_it_is_the_baseline(tmp_path: Path) -> None:
    engine = Engine()
    spec = drive(engine, Traffic(requests=40), run_id="spec")
    plain = drive(Engine(tau=(0, 0)), Traffic(requests=40), run_id="plain")
    paths = [str(spec.write(tmp_path / "a")), str(plain.write(tmp_path / "b"))]
    time = report(paths).document["time"]
    assert time["baseline_basis"] == "plain-steps"
    assert time["speedup"] == pytest.approx(truth(engine, spec)[1], rel=0.02)


def test_costs_of_a_staircase(tmp_path: Path) -> None:
    """Sizes are captured in eights: the curve is flat between them and never falls; the draft's line is found."""
    engine = Engine(tau=(1, 6), graphs=8, verify=(10.0, 0.5), noise=0.01)
    made = drive(engine, Traffic(batch=(1, 8), requests=80)).write(tmp_path)
    cost = step_cost(audit(open_inputs([str(made)]), CHECKS).tally.frame("cost"))
    assert cost.draft(3) == pytest.approx(0.2 + 0.5 * 3, rel=0.03)
    assert cost.rest(4, 16) == pytest.approx(engine.verifying(16) + 1.2, rel=0.02)
    assert cost.rest(4, 20) == pytest.approx(engine.verifying(24) + 1.2, rel=0.02)
    assert cost.rest(4, 1000) is None
    assert np.all(np.diff(cost.stairs()["fitted_ms"].to_numpy()) >= 0)


@given(st.lists(st.tuples(st.floats(-100, 100), st.floats(0.1, 10)), min_size=1, max_size=30))
def test_the_staircase_never_falls_and_keeps_the_mean(rows: list[tuple[float, float]]) -> None:
    values, weights = (np.array(column) for column in zip(*rows, strict=True))
    fitted = isotonic(values, weights)
    assert np.all(np.diff(fitted) >= -1e-9)
    assert np.average(fitted, weights=weights) == pytest.approx(np.average(values, weights=weights), abs=1e-6)


def test_a_jackknife_of_a_mean_is_the_textbook_interval() -> None:
    """Of a plain mean the jackknife variance is s^2 / n, exactly."""
    x = np.random.default_rng(1).normal(5, 2, 40)
    found = jackknife(np.stack([x, np.ones(40)], axis=1), lambda s: s[..., :1] / s[..., 1:])[0]
    assert found.value == pytest.approx(x.mean())
    assert found.high - found.value == pytest.approx(2.0227 * x.std(ddof=1) / np.sqrt(40), rel=1e-3)


@pytest.mark.slow
def test_steps_that_took_no_time_divide_nothing(tmp_path: Path) -> None:
    assert written(tmp_path, *(line(i, at=100.0 + 10 * i, step_ms=0.0) for i in range(40))) is None
    assert written(tmp_path, *(line(i, at=100.0 + 10 * i, step_ms=float(i > 20)) for i in range(40))) is not None
