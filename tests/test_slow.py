"""On made traces with a clock each reason to be slow is named first, and a trace without one is not accused."""

from pathlib import Path
from typing import Any

import pytest

from sdtrace.api import report
from sdtrace.speed.finding import Finding, in_words
from simulate_slow import FAST, SLOW, tagged
from simulate_timing import Engine, Traffic, drive


def diagnosed(engine: Engine, traffic: Traffic, folder: Path, seed: int = 5) -> dict[str, Any]:
    found: dict[str, Any] = report(str(drive(engine, traffic, seed).write(folder))).document
    return found


@pytest.mark.parametrize("name", list(SLOW))
def test_named_first(name: str, tmp_path: Path) -> None:
    cause, engine, traffic = SLOW[name]
    found = diagnosed(engine, traffic, tmp_path)
    assert [c["cause"] for c in found["causes"]][:1] == [cause]
    first = found["causes"][0]
    assert first["side"] == "slow"
    assert first["advice"]
    assert first["evidence"]
    assert first["evidence"][0]["path"]
    assert found["verdict"]["state"] == ("slow" if first["certainty"] != "suspected" else "cannot-tell")


@pytest.mark.parametrize("name", list(FAST))
def test_nothing_to_accuse(name: str, tmp_path: Path) -> None:
    found = diagnosed(*FAST[name], tmp_path)
    assert [c["cause"] for c in found["causes"]] == []


def test_a_cause_of_a_slice_names_the_slice(tmp_path: Path) -> None:
    cause = diagnosed(Engine(), tagged("adapter", "legal", 0.3, 0.25), tmp_path)["causes"][0]
    assert "tags.adapter=legal" in cause["headline"]
    assert cause["evidence"][0]["where"] == {"tags.adapter": "legal"}


def test_a_shift_of_the_mix_is_never_the_drafters_fault(tmp_path: Path) -> None:
    _, engine, traffic = SLOW["shift"]
    found = diagnosed(engine, traffic, tmp_path)
    assert found["verdict"]["blame"] == ["traffic"]


def test_evidence_leads_to_a_step(tmp_path: Path) -> None:
    row = diagnosed(*SLOW["long-context"][1:], tmp_path)["causes"][0]["evidence"][0]
    assert row["command"].startswith("sdtrace explain")
    assert row["request_id"] in row["command"]


def test_what_gains_most_stands_first() -> None:
    little, much = Finding("host-overhead", "statistical", "", 0.1), Finding("draft-too-slow", "statistical", "", 0.4)
    doubt = Finding("kv-pressure", "suspected", "", 3.0)
    assert [c.cause for c in in_words([doubt, little, much])] == ["draft-too-slow", "host-overhead", "kv-pressure"]
