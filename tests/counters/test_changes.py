"""Changes of counts: which figure of which series, and when."""

import pytest

from sdtrace.counters.changes import changes
from sdtrace.document.changes import changes_section
from sdtrace.results.clock import clock
from sdtrace.schema.counters import from_rows
from sdtrace.schema.trace import Event


def test_counters_that_fall_and_that_begin_anew() -> None:
    base = {"engine": "vllm", "surface": "metrics", "basis": "counter", "series": "engine=0"}
    rows, n, a = [], 0, 0
    for i in range(80):
        n, a = (0, 0) if i == 60 else (n + 10, a + (20 if i < 40 else 5))
        rows.append(base | {"at": 1.7954e9 + 5 * i, "line": i + 1, "drafts": n, "drafted": 4 * n, "accepted": a})
    found = {c.says or c.what: c for c in changes(from_rows("scrapes", rows), [])}
    assert set(found) == {"acceptance", "counters began anew"}
    assert found["counters began anew"].where == "scrapes:61"
    fell = found["acceptance"]
    assert fell.before == pytest.approx(0.5)
    assert fell.after == pytest.approx(0.125)
    assert fell.at == pytest.approx(1.7954e9 + 40 * 5, abs=10)
    assert fell.series == "vllm engine=0"


def test_speed_load_and_length_have_changes_of_their_own() -> None:
    rows = [
        {
            "engine": "vllm", "surface": "s", "basis": "interval", "series": "a", "at": 1.7954e9 + 10 * i, "line": i + 1,
            "drafts": 100, "drafted": 300 if i < 10 else 500, "accepted": 150 if i < 10 else 250, "busy_ms": 1000 if i < 20 else 2000,
            "generation_tps": 100.0 + i % 3 if i < 20 else 50.0 + i % 3, "running": 4 if i < 25 else 16,
        }
        for i in range(40)
    ]  # fmt: skip
    found = {c.what: (c.line, c.before, c.after) for c in changes(from_rows("log", rows), [])}
    assert found == {
        "draft_length": (11, 3, 5),
        "step_time": (21, 10, 20),
        "throughput": (21, pytest.approx(101, abs=1), pytest.approx(51, abs=1)),
        "load": (26, 4, 16),
    }


def test_starts_errors_and_switches_stand_among_the_changes() -> None:
    events = [
        Event("log", 1, 1.7954e9, "vllm", "version", "the engine's version", "0.33.0"),
        Event("log", 5, 1.7954e9 + 60, "vllm", "error", "the engine logged an error", "core.py:3"),
        Event("log", 9, 1.7954e9 + 90, "vllm", "version", "the engine's version", "0.33.1"),
        Event("log", 12, 1.7954e9 + 95, "sglang", "k", "the draft length was switched", "7 -> 3"),
    ]
    found = changes(from_rows("log", []), events)
    assert [(c.what, c.line) for c in found] == [("error", 5), ("restart", 9), ("configuration", 12)]
    section = changes_section(found)
    assert section is not None
    assert section.rows[0][2] == "the engine logged an error: core.py:3"


def test_times_read_as_a_clock() -> None:
    assert clock(1772445680.0) == "10:01:20"
    assert clock(12.4) == "12 s"
    assert clock(None, 7) == "line 7"
