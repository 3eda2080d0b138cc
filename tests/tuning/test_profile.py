"""Profiles for simulators: figures by hand, what is null, intervals that cover, and the same figures when it is read back."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdtrace.api import report
from sdtrace.cli import run
from sdtrace.tuning.by_position import _ends

SAMPLES = Path(__file__).resolve().parents[2] / "sample_logs"

#: The keys of ModelOpt's schema 1.0, in its order, with the types that its consumers take.
SCHEMA: dict[str, tuple[type, ...]] = {
    "schema_version": (str,),
    "measured": (bool,),
    "method": (str, type(None)),
    "draft_checkpoint": (dict, type(None)),
    "target_model": (dict, type(None)),
    "num_speculative_tokens": (int, type(None)),
    "block_size": (int, type(None)),
    "max_supported_k": (int, type(None)),
    "verification_method": (str,),
    "conditional_accept_rates": (list, type(None)),
    "marginal_accept_rates": (list, type(None)),
    "mean_accept_length": (float, type(None)),
    "mean_accept_length_per_request": (float, type(None)),
    "accept_length_model": (str,),
    "accept_length_by_k": (dict,),
    "acceptance_length_histogram": (dict, type(None)),
    "per_category": (dict, type(None)),
    "measurement_conditions": (dict, type(None)),
    "validation": (dict, type(None)),
}


def profile(path: Path, tmp_path: Path) -> dict[str, Any]:
    out = tmp_path / "speculation_profile.json"
    assert run(["convert", str(path), "--profile", str(out)]) == 0
    found: dict[str, Any] = json.loads(out.read_text())
    assert [key for key in found if key in SCHEMA] == list(SCHEMA)
    assert {key for key, types in SCHEMA.items() if not isinstance(found[key], types)} == set()
    return found


def step(request: str, number: int, drafted: int, accepted: int | None, **more: Any) -> dict[str, Any]:
    row = {"kind": "step", "request_id": request, "step": number, "draft_token_ids": list(range(drafted))}
    return row | ({} if accepted is None else {"num_accepted": accepted}) | more


def written(tmp_path: Path, rows: list[dict[str, Any]], **about: Any) -> Path:
    out = tmp_path / "trace.jsonl"
    head = {"kind": "run", "format": 1, "method": "eagle3", "num_draft_tokens": 4, **about}
    out.write_text("".join(json.dumps(row) + "\n" for row in [head, *rows]))
    return out


def test_figures_by_hand(tmp_path: Path) -> None:
    """Six steps that drafted 3, 3, 2, 3, 1, 3 and accepted 3, 1, 2, 0, 1, 2; a plain step and one that tells nothing beside them.

    Position 0: tested 6, accepted 5. Position 1: tested 4 (the draft of 1 ended before), accepted 3. Position 2: tested 2 (of
    the drafts that accepted two, one had two tokens only), accepted 1. Position 3 was configured and never drafted.
    """
    told = [("a", 3, 3), ("a", 3, 1), ("a", 2, 2), ("b", 3, 0), ("b", 1, 1), ("b", 3, 2)]
    rows = [step(request, i, k, n) for i, (request, k, n) in enumerate(told)]
    path = written(
        tmp_path, [*rows, step("a", 7, 0, 0, output_token_ids=[5]), step("b", 7, 3, None)], draft_model="/x/y/org/d"
    )
    found = profile(path, tmp_path)
    assert found["conditional_accept_rates"] == [5 / 6, 3 / 4, 1 / 2, None]
    assert found["marginal_accept_rates"] == [5 / 6, 3 / 6, 1 / 6, None]
    assert found["counts"] == {
        "steps_that_drafted": 6,
        "drafted": 15,
        "accepted": 9,
        "tested_by_position": [6, 4, 2],
        "accepted_by_position": [5, 3, 1],
    }
    assert found["acceptance_length_histogram"] == {"1": 1, "2": 2, "3": 2, "4": 1}
    assert found["mean_accept_length"] == 1 + 9 / 6
    assert found["mean_accept_length_per_request"] == ((1 + 6 / 3) + (1 + 3 / 3)) / 2
    assert found["validation"]["mean_consistency"]["passed"]
    assert found["accept_length_model"] == "chain_analytic"
    assert found["draft_checkpoint"] == {"id": "org/d"}
    assert (found["target_model"], found["num_speculative_tokens"]) == (None, 4)
    assert found["intervals"]["marginal_accept_rates"] == [None] * 4


@pytest.mark.one_of(4)
@pytest.mark.parametrize("requests", [1, 7, 8, 40])
def test_an_interval_needs_eight_requests(requests: int, tmp_path: Path) -> None:
    rows = [step(f"r{i % requests}", i, 3, (i // 3) % 4) for i in range(160)]
    found = profile(written(tmp_path, rows), tmp_path)
    for name in ("conditional_accept_rates", "marginal_accept_rates"):
        *ends, deeper = found["intervals"][name]
        assert deeper is None
        if requests < 8:
            assert ends == [None] * 3
        else:
            assert all(0 <= low <= rate <= high <= 1 for rate, (low, high) in zip(found[name], ends, strict=False))
    assert (found["intervals"]["mean_accept_length"] is None) == (requests < 8)


@pytest.mark.slow
def test_more_requests_than_are_kept_apart_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests in groups: every count stays what it is, and intervals are of as many groups."""
    rows = [step(f"r{i % 90}", i, 3, (i // 3) % 4) for i in range(900)]
    whole = profile(written(tmp_path, rows), tmp_path)
    monkeypatch.setattr("sdtrace.tuning.by_position._CLUSTERS", 12)
    found = profile(written(tmp_path, rows), tmp_path)
    for key in ("counts", "conditional_accept_rates", "acceptance_length_histogram", "mean_accept_length"):
        assert found[key] == whole[key]
    assert found["intervals"]["clusters_used"] == 12
    assert found["mean_accept_length_per_request"] is None
    assert found["intervals"]["conditional_accept_rates"][0] is not None


@pytest.mark.slow
def test_a_rule_on_blocks_has_lengths_and_no_rates_by_position(tmp_path: Path) -> None:
    rows = [step(f"r{i % 2}", i, 2, i % 3) for i in range(9)]
    found = profile(written(tmp_path, rows, rule="block"), tmp_path)
    assert (found["conditional_accept_rates"], found["marginal_accept_rates"]) == (None, None)
    assert found["verification_method"] == "block"
    assert "longest-prefix" in found["vectors_unavailable_reason"]
    assert found["mean_accept_length"] == 2.0
    back = report(tmp_path / "speculation_profile.json").document["acceptance"]
    assert (back["tokens_per_step"], back["marginal_by_position"]) == (2.0, [])


def test_two_draft_lengths_have_no_mean_of_one(tmp_path: Path) -> None:
    rows = [{"kind": "run", "format": 1, "run_id": name, "num_draft_tokens": k} for name, k in (("x", 2), ("y", 4))]
    rows += [step("a", i, k, 1, run_id=name) for name, k in (("x", 2), ("y", 4)) for i in range(3)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = profile(tmp_path / "t.jsonl", tmp_path)
    assert (found["accept_length_by_k"], found["num_speculative_tokens"]) == ({}, 4)
    assert found["counts"]["tested_by_position"][:2] == [6, 6]


@pytest.mark.one_of(2)
@pytest.mark.parametrize("name", ["transformers-sampled.jsonl.gz", "engines/vllm.log"])
def test_read_back_it_gives_the_same_figures(name: str, tmp_path: Path) -> None:
    """Counts cannot tell the conditional rate behind a draft that was cut short: there it is null, and never another one.

    A log that prints shares has steps by position that are no whole numbers, and a histogram holds whole ones: hence 0.1%.
    """
    source = SAMPLES / name
    found, first = profile(source, tmp_path), report(source).document["acceptance"]
    assert found["marginal_accept_rates"] == first["marginal_by_position"]
    assert found["conditional_accept_rates"] == first["conditional_by_position"]
    back, counts = report(tmp_path / "speculation_profile.json").document["acceptance"], found["counts"]
    assert (back["steps"], back["drafted"], back["accepted"]) == tuple(
        counts[key] for key in ("steps_that_drafted", "drafted", "accepted")
    )
    assert back["tokens_per_step"] == pytest.approx(found["mean_accept_length"], rel=1e-3)
    assert back["marginal_by_position"] == pytest.approx(first["marginal_by_position"], rel=1e-3)
    told = [
        (b, c)
        for b, c in zip(back["conditional_by_position"], first["conditional_by_position"], strict=True)
        if b is not None
    ]
    assert told
    assert all(b == pytest.approx(c, rel=1e-3) for b, c in told)


@pytest.mark.slow
def test_drafts_of_one_length_keep_their_conditional_rates(tmp_path: Path) -> None:
    rows = [step(f"r{i % 4}", i, 4, (i * i) % 5) for i in range(80)]
    found = profile(written(tmp_path, rows), tmp_path)
    back = report(tmp_path / "speculation_profile.json").document["acceptance"]
    assert back["conditional_by_position"] == pytest.approx(found["conditional_accept_rates"])


def test_a_stub_is_no_measurement(tmp_path: Path) -> None:
    """ModelOpt writes rates of 0 with `measured: false` beside a checkpoint that nobody measured: no drafter that never hits."""
    stub = {
        "schema_version": "1.0",
        "measured": False,
        "conditional_accept_rates": [0.0, 0.0],
        "marginal_accept_rates": [0.0, 0.0],
    }
    (tmp_path / "stub.json").write_text(json.dumps(stub, indent=1))
    document = report(tmp_path / "stub.json").document
    assert document["acceptance"] is None
    assert document["causes"] == []
    assert any("not measured" in n["what"] for n in document["inputs"][0]["notices"] + document["inputs"][0]["losses"])


def test_no_acceptance_by_position_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plain.jsonl").write_text(json.dumps(step("a", 0, 0, 0)) + "\n")
    out = tmp_path / "p.json"
    assert run(["convert", str(tmp_path / "plain.jsonl"), "--profile", str(out)]) == 3
    assert "nothing tells which positions" in capsys.readouterr().err
    assert not out.exists()
    assert run(["convert", "-", "--profile", str(out)]) == 2
    assert run(["convert", str(tmp_path / "plain.jsonl"), "--profile", str(tmp_path / "plain.jsonl")]) == 2
    assert "is the input" in capsys.readouterr().err


def test_intervals_cover() -> None:
    """400 trials of 20 requests whose own rates differ (beta 6, 2): at least 92% of the 95% intervals hold the true rate."""
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(400):
        below = rng.integers(20, 60, 20).astype(np.float64)
        above = rng.binomial(below.astype(np.int64), rng.beta(6, 2, 20)).astype(np.float64)
        ends = _ends(above, below)
        assert ends is not None
        hits += ends[0] <= 0.75 <= ends[1]
    assert hits >= 368


def test_requests_that_all_agree_do_not_make_a_rate_certain() -> None:
    ends = _ends(np.full(8, 2.0), np.full(8, 2.0))
    assert ends is not None
    assert ends[1] == 1.0
    assert ends[0] < 0.82  # 16 of 16
