"""Requests that begin on one host and finish on another: joined by where their context goes on, clocks aligned or said not to be."""

from pathlib import Path
from typing import Any

import pytest

from sdtrace.api import report
from tests.made.hosts import SKEW, STEP, hosts


def told(paths: list[str]) -> tuple[list[dict[str, Any]], str, dict[str, Any]]:
    """The section `record.joined` of the report, the notes that speak of it, and the document."""
    document = report(paths).document
    notes = " ".join(str(note) for note in document["verdict"]["not_checked"] if " in " in str(note))
    assert document["audit"]["disagree"] == 0
    assert [c["cause"] for c in document["causes"] if c["side"] == "wrong"] == []
    return document["record"].get("joined", []), notes, document


@pytest.mark.slow
def test_one_way_is_joined_and_not_aligned(tmp_path: Path) -> None:
    """A part from a clock that is behind begins before the first one ended: said, and no pause is made of it."""
    rows, notes, document = told(hosts(tmp_path, [("a", "b")] * 5, skew=-SKEW))
    (row,) = rows
    assert (row["requests"], row["clock"], row["pause_s"]) == (5, None, None)
    assert row["ahead_at_most_s"] == pytest.approx(STEP - SKEW)
    assert "5 requests begin in" in notes
    assert "not aligned" in notes
    assert "behind by 7.45 s at least" in notes
    assert document["audit"]["steps"] == 40


@pytest.mark.slow
def test_both_ways_align_the_clocks(tmp_path: Path) -> None:
    rows, notes, _ = told(hosts(tmp_path, [("a", "b"), ("b", "a")] * 4))
    assert [row["requests"] for row in rows] == [4, 4]
    ahead = next(row for row in rows if row["begin"].endswith("a.jsonl"))
    assert ahead["clock"]["basis"] == "requests both ways"
    assert ahead["clock"]["low_s"] <= SKEW <= ahead["clock"]["high_s"]
    assert ahead["clock"]["high_s"] - ahead["clock"]["low_s"] == pytest.approx(2 * STEP, abs=1e-3)
    back = next(row for row in rows if row is not ahead)
    assert back["clock"]["ahead_s"] == pytest.approx(-ahead["clock"]["ahead_s"])
    assert all(row["pause_s"] >= 0 for row in rows)
    assert "by 8 requests both ways" in notes


@pytest.mark.slow
def test_shared_steps_align_the_clocks_and_count_once(tmp_path: Path) -> None:
    rows, notes, document = told(hosts(tmp_path, [("a", "b")] * 4, runs=("one", "one"), shared=2))
    (row,) = rows
    assert row["clock"] == {"ahead_s": SKEW, "low_s": SKEW, "high_s": SKEW, "basis": "shared steps", "n": 8}
    assert row["pause_s"] == pytest.approx(STEP, abs=1e-3)
    assert document["audit"]["steps"] == 32
    assert "by 8 shared steps" in notes


@pytest.mark.slow
def test_without_times(tmp_path: Path) -> None:
    rows, notes, _ = told(hosts(tmp_path, [("a", "b")] * 4, clocks=False))
    (row,) = rows
    assert (row["clock"], row["ahead_at_most_s"], row["pause_s"]) == (None, None, None)
    assert "steps have no times" in notes


@pytest.mark.one_of(2)
@pytest.mark.parametrize(
    "more",
    [{"goes_on": False}, {"runs": ("one", "one"), "skew": 0.0}],
    ids=["two benchmarks with the same ids", "files of one process"],
)
def test_what_is_no_handover(more: dict[str, Any], tmp_path: Path) -> None:
    rows, _, _ = told(hosts(tmp_path, [("a", "b")] * 5, **more))
    assert rows == []


@pytest.mark.one_of(6)
@pytest.mark.parametrize("lines", [False, True], ids=["steps alone", "with request lines"])
@pytest.mark.parametrize(
    ("more", "whole"),
    [({}, 12), ({"runs": ("one", "one"), "shared": 1}, 12), ({"goes_on": False}, 24)],
    ids=["two runs", "one run", "two benchmarks with the same ids"],
)
def test_a_request_that_moved_counts_once(more: dict[str, Any], whole: int, lines: bool, tmp_path: Path) -> None:
    """In the document, on the page, in the frames; and its output is held against the steps of both hosts."""
    found = report(hosts(tmp_path, [("a", "b"), ("b", "a")] * 6, lines=lines, **more))
    by_request = next(section for section in found.sections if section.id == "by-request")
    assert found.document["about"]["requests"] == whole
    assert found.frames.requests.height == whole
    assert by_request.sentence.startswith(f"{whole} requests")
    assert len(by_request.rows) == whole
    assert sum(int(str(row[1])) for row in by_request.rows) == 96
    if "goes_on" not in more:
        assert [c["cause"] for c in found.document["causes"] if c["side"] != "slow"] == []


@pytest.mark.slow
def test_what_an_incident_touched_counts_once(tmp_path: Path) -> None:
    incident = report(hosts(tmp_path, [("a", "b"), ("b", "a")] * 6, wrong=True)).document["incident"]
    assert incident["affected"]["requests"] == 12
    assert incident["affected"]["steps"] == 96
    assert incident["of"] == {"requests": 12, "steps": 96}
