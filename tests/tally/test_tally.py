"""Tallies add up: whatever the pieces, the sum is that of the whole."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from sdtrace.audit.audit import audit
from sdtrace.checks import CHECKS
from sdtrace.readers import open_inputs
from sdtrace.tally.frames import FRAMES
from sdtrace.tally.tally import Tally, merge
from sdtrace.tally.uniforms import values_of
from tests.made.simulate import Scenario, Shape, document, simulate


def trace(tmp_path: Path, **more: Any) -> Path:
    return simulate(Scenario("ratio", shape=Shape(tested=1500), **more)).write(tmp_path / "trace.jsonl")


def tally(path: Path) -> Tally:
    return audit(open_inputs([str(path)]), CHECKS).tally


def figures(path: Path) -> dict[str, Any]:
    found = document(path)
    return {name: found[name] for name in ("verdict", "checks", "audit")}


@pytest.mark.slow
@pytest.mark.parametrize("rows", [64, *(pytest.param(n, marks=pytest.mark.slow) for n in (24, 250))])
def test_small_batches_give_the_same_report(rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many batches (more than are gathered at a time) against one."""
    path = trace(tmp_path, fault="lenience-0.7")
    whole = figures(path)
    monkeypatch.setattr("sdtrace.readers.trace.jsonl.ROWS", rows)
    monkeypatch.setattr("sdtrace.readers.trace.jsonl.BYTES", 1)
    pieces = figures(path)
    assert pieces["audit"] == whole["audit"]
    assert pieces["verdict"]["headline"] == whole["verdict"]["headline"]
    assert [c["state"] for c in pieces["checks"]] == [c["state"] for c in whole["checks"]]


def test_merging_is_adding(tmp_path: Path) -> None:
    one, two = tally(trace(tmp_path)), tally(trace(tmp_path, seed=5, fault="inverted-ratio"))
    both = merge([one, two])
    for name in ("steps", "tested", "disagree", "appended", "expected"):
        expected = one.sums["laws"][name].sum() + two.sums["laws"][name].sum()
        assert both.sums["laws"][name].sum() == pytest.approx(expected)
    assert merge([merge([one]), two]).sums["positions"].equals(both.sums["positions"])


@pytest.mark.slow
def test_every_sum_is_declared_with_its_merge(tmp_path: Path) -> None:
    seen = {name: frame for name, frame in tally(trace(tmp_path, fault="inverted-ratio")).sums.items() if frame.height}
    assert {"laws", "positions", "requests", "evidence", "places", "margins"} <= set(seen)
    for name, frame in seen.items():
        assert set(frame.columns) <= set(FRAMES[name].columns)
        assert all(
            dtype.is_numeric() == FRAMES[name].columns[n].dtype.is_numeric() for n, dtype in frame.schema.items()
        )


def test_a_frame_merges_as_it_is_declared() -> None:
    row = {
        "run_id": "r",
        "request_id": "a",
        "law": "ratio",
        "steps": 2,
        "first_at": 5.0,
        "max_step": 3,
        "first_line": 7,
    }
    later = row | {"steps": 1, "first_at": 4.0, "max_step": 9, "first_line": 8}
    both = merge([Tally({"requests": pl.DataFrame([row])}), Tally({"requests": pl.DataFrame([later])})])
    assert both.sums["requests"].row(0, named=True) == row | {"steps": 3, "first_at": 4.0, "max_step": 9}
    with pytest.raises(KeyError, match="newest"):
        merge([Tally({"requests": pl.DataFrame([row | {"newest": 1}])})])


@pytest.mark.slow
def test_request_lines_may_come_last_or_never(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [json.loads(line) for line in trace(tmp_path).read_bytes().splitlines()]
    path = tmp_path / "late.jsonl"
    late = [r for r in lines if r["kind"] != "request"] + [r for r in lines if r["kind"] == "request"]
    path.write_text("".join(json.dumps(r) + "\n" for r in late))
    expected = figures(tmp_path / "trace.jsonl")["audit"]
    assert figures(path)["audit"] == expected
    # nothing may wait any more: the pass starts again with all request lines known
    monkeypatch.setattr("sdtrace.audit.audit.WAITING", 10)
    monkeypatch.setattr("sdtrace.readers.trace.jsonl.ROWS", 64)
    assert figures(path)["audit"] == expected
    never = tmp_path / "never.jsonl"
    never.write_text("".join(json.dumps(r) + "\n" for r in lines if r["kind"] != "request"))
    assert figures(never)["audit"]["tested"] == expected["tested"]
    assert any("their request has no line" in n for n in document(never)["verdict"]["not_checked"])


@pytest.mark.slow
def test_samples_stay_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, bound in (("STEPS", 100), ("UNIFORMS", 200), ("REQUESTS", 5)):
        monkeypatch.setattr(f"sdtrace.tally.tally.{name}", bound)
    monkeypatch.setattr("sdtrace.tally.measure.STEPS", 100)
    found = tally(trace(tmp_path))
    assert found.steps is not None
    assert found.uniforms is not None
    assert found.steps.height <= 100
    assert found.uniforms.height <= 200
    assert found.sums["requests"].height == 5
    kept = found.steps.group_by("hash").len()
    assert isinstance(kept, pl.DataFrame)


@pytest.mark.parametrize(
    ("drawn", "values"),
    [
        (lambda r: (r * 2**24).astype(np.int64) / 2**24, 2.0**24),
        (lambda r: r.astype(np.float32), 3.0 * 2**23),
        (lambda r: r, 2.0**53),
        (lambda r: np.round(r, 4), 1e4),
    ],
    ids=["grid of 24 bits", "float32", "float64", "4 decimals"],
)
@pytest.mark.parametrize("spelled", ["in full", "as short as it goes"])
def test_how_many_values_a_generator_has(drawn: Any, values: float, spelled: str) -> None:
    """float32 written with the fewest digits that tell them apart is no longer the number that was drawn: 4 of 13,000 uniforms of a
    lawful vLLM were equal, and 9e-9 pairs expected."""
    r = drawn(np.random.default_rng(3).random(4096))
    short = values < 2.0**53 and spelled != "in full"
    told = np.array([float(str(x)) for x in r.astype(np.float32)]) if short else r.astype(np.float64)
    assert values_of(told) == values
