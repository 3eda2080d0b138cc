"""On made traces with a clock each reason to be slow is named first, and a trace without one is not accused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdtrace.api import report
from sdtrace.speed.finding import Finding, in_words
from tests.made.pairs import one_of
from tests.made.slow import FAST, SLOW, tagged
from tests.made.timing import Engine, Traffic, drive


def diagnosed(engine: Engine, traffic: Traffic, folder: Path, seed: int = 5) -> dict[str, Any]:
    found: dict[str, Any] = report(str(drive(engine, traffic, seed).write(folder))).document
    return found


def assert_one_recommendation(found: dict[str, Any]) -> None:
    """A cause about the draft length names the length and the gain of the curve, wherever the curve has one on that side."""
    tau = (found["tuning"] or {}).get("tau") or {}
    for row in found["causes"]:
        if tau.get("gain") is None or row["cause"] not in ("tau-too-large", "tau-too-small"):
            continue
        if (tau["best"] < tau["current"]) == (row["cause"] == "tau-too-large") and tau["best"] != tau["current"]:
            assert (
                f"the best draft length is {tau['best']} instead of {tau['current']}: {tau['gain']:+.0%}"
                in row["headline"]
            )


@pytest.mark.one_of(5)
@pytest.mark.parametrize("name", one_of(2, SLOW))
def test_named_first(name: str, tmp_path: Path) -> None:
    cause, engine, traffic = SLOW[name]
    found = diagnosed(engine, traffic, tmp_path)
    assert [c["cause"] for c in found["causes"]][:1] == [cause]
    first = found["causes"][0]
    assert first["side"] == "slow"
    assert first["advice"]
    assert first["evidence"]
    assert first["evidence"][0]["path"]
    assert_one_recommendation(found)
    assert found["verdict"]["state"] == ("slow" if first["certainty"] != "suspected" else "cannot-tell")


@pytest.mark.one_of(8)
@pytest.mark.parametrize("name", list(FAST))
def test_nothing_to_accuse(name: str, tmp_path: Path) -> None:
    found = diagnosed(*FAST[name], tmp_path)
    assert [c["cause"] for c in found["causes"]] == []


@pytest.mark.slow
def test_a_cause_of_a_slice_names_the_slice(tmp_path: Path) -> None:
    cause = diagnosed(Engine(), tagged("adapter", "legal", 0.3, 0.25), tmp_path)["causes"][0]
    assert "tags.adapter=legal" in cause["headline"]
    assert cause["evidence"][0]["where"] == {"tags.adapter": "legal"}


@pytest.mark.slow
def test_a_shift_of_the_mix_is_never_the_drafters_fault(tmp_path: Path) -> None:
    _, engine, traffic = SLOW["shift"]
    found = diagnosed(engine, traffic, tmp_path)
    assert found["verdict"]["blame"] == ["traffic"]


@pytest.mark.slow
def test_evidence_leads_to_a_step(tmp_path: Path) -> None:
    row = diagnosed(*SLOW["long-context"][1:], tmp_path)["causes"][0]["evidence"][0]
    assert row["command"].startswith("sdtrace explain")
    assert row["request_id"] in row["command"]


def test_what_gains_most_stands_first() -> None:
    little, much = Finding("host-overhead", "statistical", "", 0.1), Finding("draft-too-slow", "statistical", "", 0.4)
    doubt = Finding("kv-pressure", "suspected", "", 3.0)
    assert [c.cause for c in in_words([doubt, little, much])] == ["draft-too-slow", "host-overhead", "kv-pressure"]


#: The first of them here, the others among the slow ones.
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))]


def crossed(record: dict[str, Any], chance: float, rng: np.random.Generator) -> float:
    """Four tags that mean nothing."""
    record["tags"] |= {f"t{i}": f"v{rng.integers(4)}" for i in range(4)}
    return chance


class InSessions:
    """Requests come in sessions of six that are alike; tags go with the session and mean nothing."""

    def __init__(self, named: bool) -> None:
        self.named, self.seen = named, 0

    def __call__(self, record: dict[str, Any], chance: float, rng: np.random.Generator) -> float:
        if self.seen % 6 == 0:
            self.level, self.tags = rng.beta(3, 3), {f"t{i}": f"v{rng.integers(4)}" for i in range(8)}
            self.prompt = int(rng.integers(100, 6000))
        record["prompt_len"] = self.prompt + (self.seen % 6 if self.named else 0)
        record["tags"] = self.tags | ({"session_id": f"s{self.seen // 6}"} if self.named else {})
        self.seen += 1
        return float(self.level)


@pytest.mark.parametrize("seed", SEEDS)
def test_crossed_tags_make_no_decay(seed: int, tmp_path: Path) -> None:
    traffic = Traffic(requests=60, spread=0.2, prompt=(30, 6000), edit=crossed)
    assert diagnosed(Engine(), traffic, tmp_path, seed)["causes"] == []


@pytest.mark.one_of(2)
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("seed", SEEDS)
def test_sessions_make_no_slices(named: bool, seed: int, tmp_path: Path) -> None:
    found = diagnosed(Engine(), Traffic(requests=60, edit=InSessions(named)), tmp_path, seed)
    assert {c["cause"] for c in found["causes"]} <= {"tau-too-large", "draft-too-slow"}


@pytest.mark.slow
def test_low_acceptance_needs_a_duration(tmp_path: Path) -> None:
    """How much acceptance pays depends on what steps cost."""
    _, engine, traffic = SLOW["low-everywhere"]
    driven = drive(engine, traffic)
    bare = replace(driven, steps=driven.steps.drop("draft_ms", "verify_ms", "sample_ms", "step_ms"))
    assert report(str(bare.write(tmp_path))).document["causes"] == []
