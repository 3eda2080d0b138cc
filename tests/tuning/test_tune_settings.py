"""Budgets, policies, drafters and load, and the settings that follow."""

import gzip
import itertools
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sdtrace
from sdtrace.cli import run as command
from sdtrace.errors import SdtraceError
from sdtrace.render import html, tuning
from sdtrace.tuning import attach
from sdtrace.tuning.advice import advise
from sdtrace.tuning.run import Asked, tuned
from sdtrace.tuning.whatif import policies as rules
from sdtrace.tuning.whatif.budget import allocate, budgets, equal, gained
from sdtrace.tuning.whatif.compare import compare
from sdtrace.tuning.whatif.control import drafted_right, walk
from sdtrace.tuning.whatif.queueing import queue
from sdtrace.tuning.whatif.roles import geometric, iso, needed, roles
from sdtrace.tuning.whatif.settings import batch_table, setting
from tests.made.mutated import damaged
from tests.made.text import bursty, mixed, record, steady, traffic

SAMPLE = Path(__file__).resolve().parents[2] / "sample_logs" / "transformers-sampled.jsonl.gz"

# ---- budget

_hazards = st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=4)


@pytest.mark.slow
@given(_hazards, st.integers(0, 12), st.integers(0, 2))
@settings(max_examples=300, deadline=None)
def test_the_largest_survivals_are_the_best_allocation(hazards: list[list[float]], budget: int, least: int) -> None:
    alive = np.cumprod(np.array(hazards), axis=1)
    b = len(alive)
    if budget < b * least:
        with pytest.raises(ValueError, match="more than a budget"):
            allocate(alive, budget, least)
        return
    counts = allocate(alive, budget, least)
    assert counts.sum() == min(budget, alive.size)
    assert counts.min() >= least
    every = itertools.product(range(least, 4), repeat=b)
    best = max(gained(alive, np.array(c)) for c in every if sum(c) <= budget)
    assert gained(alive, counts) == pytest.approx(best)
    assert least or gained(alive, equal(b, 3, budget)) <= best + 1e-12


def test_confidences_that_are_no_survival_mislead_the_greedy_choice() -> None:
    """Raw confidences that rise with the position make the next slot look poor; their cumulative product does not."""
    raw = np.array([[0.3, 0.99, 0.99], [0.5, 0.5, 0.5]])
    counts = allocate(np.cumprod(raw, axis=1), 3)
    assert gained(np.cumprod(raw, axis=1), counts) == pytest.approx(1.097)  # 0.5, 0.3, 0.297


@pytest.mark.slow
def test_a_shared_budget_beats_an_equal_split_on_unequal_requests() -> None:
    made = traffic(record(bursty(120, 120, np.random.default_rng(0), stay=0.999), 6, ms=(1.0, 20.0), batch=8))
    rows, why = budgets(tuned(made, Asked(baseline_ms=20.0)))
    assert why is None
    middle = next(row for row in rows if row["budget"] == 24)
    assert middle["tokens_per_step"] > 1.05 * middle["tokens_per_step_equal"]
    assert sum(middle["allocation"].values()) == pytest.approx(1.0)
    assert rows[0]["tokens_per_step"] == 1.0
    assert rows[-1]["tokens_per_step"] == pytest.approx(rows[-1]["tokens_per_step_equal"])
    alone = traffic(record(mixed(20, 60, np.random.default_rng(1)), 4))
    assert budgets(tuned(alone, Asked()))[0] == []


# ---- policies


def test_a_fixed_policy_at_the_recorded_tau_is_the_record() -> None:
    made = traffic(record(mixed(40, 90, np.random.default_rng(2)), 4))
    walked = walk(rules.Fixed(4), made.text, drafted_right(made.text, 0.5), np.zeros(made.text.tokens, np.int64))
    assert len(walked.tau) == len(made.text.first)
    assert np.array_equal(np.bincount(walked.request), np.bincount(made.text.request_of_step))


def test_policies_side_by_side() -> None:
    """Batches of 4 and of 32, drafts that are cheap in one and dear in the other: what looks at the batch wins."""
    rng = np.random.default_rng(3)
    world = mixed(120, 150, rng)
    batch = rng.choice([4, 32], 120)
    steps = record(world, 4, ms=(2.0, 20.0), batch=batch)
    steps = steps.with_columns(step_ms=steps["step_ms"] + 1.5 * steps["batch_size"])
    run = tuned(traffic(steps, draft_sampling="sampled"), Asked(baseline_ms=22.0))
    rows, why = compare(run, Asked(baseline_ms=22.0, slo_tpot_ms=20.0))
    assert why is None
    by = {row["name"]: row for row in rows}
    recorded = by["fixed 4 (as recorded)"]
    at_four = run.curve.at(4)
    assert at_four is not None
    assert recorded["tokens_per_step"] == pytest.approx(at_four.tokens_per_step)
    fixed = [row for row in rows if row["kind"] == "fixed"]
    assert [row["name"].split(" ")[0] for row in fixed] == ["fixed"] * len(fixed)
    assert {row["kind"] for row in rows if row not in fixed} == {"adaptive"}
    assert by["table by batch size"]["cost"] <= min(row["cost"] for row in fixed)
    assert by["goodput (SmartSpec)"]["cost"] < recorded["cost"]
    assert all(row["regret"] > -1e-9 for row in fixed)
    assert all(0.0 <= row["slo_met"] <= 1.0 for row in rows if row["cost"] is not None)
    assert all(row["basis"] == "replay" for row in rows if row["cost"] is not None)
    refused = by["drop doubtful tokens unverified"]
    assert refused["tokens_per_step"] is None
    assert "changes the text" in refused["why"]
    assert "draft_confidence" in by["stop after a doubtful token"]["why"]
    (table,) = [row for row in advise(run, {"policies": rows, "budget": []}) if row["what"] == "batch-table"]
    assert [part.batches for part in run.parts] == [(4, 7), (32, 63)]
    assert "at batch 4-7, " in table["text"]
    assert table["text"].endswith(" at batch 32-63")
    (policy,) = [row for row in advise(run, {"policies": rows, "budget": []}) if row["what"] == "policy"]
    assert policy["gain"] == pytest.approx(
        min(row["cost"] for row in fixed) / min(row["cost"] for row in rows if row["cost"]) - 1
    )


def test_the_confidence_rule_is_judged_where_confidences_are_logged() -> None:
    world = mixed(80, 120, np.random.default_rng(4))
    steps = record(world, 6, ms=(8.0, 20.0))
    steps = steps.with_columns(draft_confidence=steps["draft_probs"])  # twice gamma's half: it knows the chance
    run = tuned(traffic(steps), Asked(baseline_ms=20.0))
    row = next(r for r in compare(run, Asked(baseline_ms=20.0))[0] if r["name"].startswith("stop after"))
    fixed = next(p for p in run.curve.points if p.tau == 6)
    assert row["basis"] == "model"
    assert 1.0 < row["tokens_per_step"] < fixed.tokens_per_step
    assert row["cost"] < run.step_cost(6)[0] / fixed.tokens_per_step


def test_policies_are_refused_for_drafters_that_decay() -> None:
    run = tuned(traffic(record(mixed(20, 60, np.random.default_rng(5)), 4), method="eagle3"), Asked())
    rows, why = compare(run, Asked())
    assert rows == []
    assert why is not None


# ---- drafters


def test_the_better_drafter_is_told_for_each_slice() -> None:
    rng = np.random.default_rng(6)
    small = record(steady(60, 120, rng, 0.6), 4, ms=(0.5, 20.0), run="small")
    large = record(steady(60, 120, rng, 0.8), 4, ms=(6.0, 20.0), run="large")
    runs = [tuned(traffic(s, draft_model=str(s["run_id"][0])), Asked(baseline_ms=20.0)) for s in (small, large)]
    found, why = roles(runs)
    assert why is None
    assert found is not None
    assert found["same_traffic"]
    best = max(found["rows"], key=lambda row: row["probability"])
    assert best["drafter"] == "draft_model: small"
    assert best["probability"] > 0.95
    assert {row["drafter"] for row in found["rows"]} == {"draft_model: small", "draft_model: large", "none"}


def test_what_another_drafter_would_have_to_reach() -> None:
    taus = np.arange(41.0)
    assert geometric(0.8, taus, 1 + 0.05 * taus) == pytest.approx(3.09, abs=0.005)
    assert needed(3.09, taus, 1 + 0.05 * taus) == pytest.approx(0.8, abs=0.002)
    assert needed(1 + 1e-9, taus, 1 + 0.3 * taus) == pytest.approx(0.3, abs=0.01), "it pays where a > c"
    run = tuned(
        traffic(record(steady(60, 120, np.random.default_rng(7), 0.8), 4, ms=(1.0, 20.0))), Asked(baseline_ms=20.0)
    )
    rows = iso(run, None)
    now = next(row for row in rows if row["multiple"] == 1.0)
    assert now["draft_cost"] == pytest.approx(0.05)
    needs = [row["acceptance_to_match"] for row in rows if row["acceptance_to_match"] is not None]
    assert needs == sorted(needs)
    assert now["acceptance_to_match"] == pytest.approx(0.78, abs=0.05)


# ---- load


def test_load_is_replayed_and_short_drafts_win_where_batches_are_dear() -> None:
    rng = np.random.default_rng(8)
    batch = rng.choice([1, 4, 16, 64], 100)
    steps = record(mixed(100, 80, rng), 4, ms=(2.0, 10.0), batch=batch)
    arrived = np.sort(rng.random(100)) * 2.0
    steps = steps.with_columns(
        at=1e9 + arrived[steps["request_id"].cast(int).to_numpy()], step_ms=steps["step_ms"] + 0.8 * steps["batch_size"]
    )
    rows, why = queue(tuned(traffic(steps), Asked(baseline_ms=12.0)), Asked(baseline_ms=12.0))
    assert why is None
    by = {row["tau"]: row for row in rows}
    assert all(row["basis"] == "model" for row in rows)
    assert by[4]["mean_batch"] > 1
    assert by[0]["tpot_p50"] >= 12.0 - 1e-6
    assert by[4]["latency_p99"] > by[4]["latency_p50"] > 0


# ---- words


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ("vllm", '"num_speculative_tokens": 3'),
        ("sglang", "--speculative-num-steps 3 --speculative-eagle-topk 1 --speculative-num-draft-tokens 4"),
        ("llama.cpp", "--spec-draft-n-max 3"),
        ("tensorrt-llm", "max_draft_len: 3"),
        ("transformers", "num_assistant_tokens=3"),
        (None, "3"),
    ],
)
def test_settings_of_every_engine(engine: str | None, said: str) -> None:
    assert said in setting(engine, 3)
    assert setting(engine, 0) != setting(engine, 3)


def test_lengths_by_batch_size() -> None:
    rows = [(1, 7, 4), (8, 31, 2), (32, None, 0)]
    assert '"num_speculative_tokens_per_batch_size": [[1, 7, 4], [8, 31, 2], [32, ' in (batch_table("vllm", rows) or "")
    assert batch_table("llama.cpp", rows) is None


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, document = tmp_path / "t.html", tmp_path / "t.json"
    assert command(["tune", str(SAMPLE), "-o", str(page), "--json", str(document), "--slo-tpot-ms", "150"]) == 0
    out = capsys.readouterr().out
    assert "BEST DRAFT LENGTH" in out
    assert "num_assistant_tokens" in out or "without assistant_model" in out
    assert b"Best policy" in page.read_bytes()
    assert command(["tune", str(SAMPLE), "--draft-cost", "-1"]) == 2
    assert command(["tune", str(SAMPLE), "--where", "tags.task=nothing"]) == 0
    assert "tuning" in capsys.readouterr().out


@pytest.mark.slow
def test_the_function_is_not_hidden_by_a_module() -> None:
    found = sdtrace.tune(SAMPLE).document["tuning"]
    assert found["tau"]["current"] == 5
    assert callable(sdtrace.tune)
    assert sdtrace.report(SAMPLE).document["tuning"]["policies"] == [], "the report says tau, the command says more"


@pytest.mark.slow
def test_damaged_traces_are_tuned_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attach, "ENOUGH", 1)
    monkeypatch.setenv("SDTRACE_TRACEBACK", "1")
    lines = gzip.decompress(SAMPLE.read_bytes()).splitlines()
    rng, path, told = random.Random(5), tmp_path / "damaged.jsonl", 0
    for _ in range(6):
        path.write_bytes(damaged(rng, lines))
        try:
            found = sdtrace.tune(path, draft_cost=0.1)
        except SdtraceError:
            continue
        told += found.document["tuning"] is not None
        page = html.page(found)
        assert tuning.summary(found, width=80)
        assert (b"Best draft length" in page) == (found.document["tuning"] is not None)
    assert told > 1
