"""One incident, one root: what it touched and when, on traces and logs whose truth is known."""

import re
from pathlib import Path
from typing import Any

import pytest

from sdtrace.api import report
from sdtrace.diagnosis.causes import _decisions
from sdtrace.diagnosis.wrong_rules import Explanation
from sdtrace.render import html, terminal
from sdtrace.results.cause_words import WORDS
from sdtrace.results.check import Outcome
from sdtrace.results.report import Report
from tests.made.laws import Generator
from tests.made.log import Record
from tests.made.simulate import Scenario, simulate
from tests.made.world import Shape


def nan_from(clock: float) -> Any:
    """From a moment on the target's rows are NaN: nothing drafted is accepted, the token after it can be any, the rest is flat."""

    def edit(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
        for i, step in enumerate(steps):
            step["at"] = 1_700_000_000.0 + i
            if i >= clock and step["draft_token_ids"]:
                step["target_probs"] = [float("nan")] * len(step["target_probs"])

    return edit


@pytest.fixture(scope="module")
def incident(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Sound for 200 steps, NaN from then on; an inverted ratio beside it, as arbitrary decisions look."""
    scenario = Scenario(fault="p-flat-sometimes", shape=Shape(tested=900), edit=nan_from(200))
    return report(str(simulate(scenario).write(tmp_path_factory.mktemp("nan") / "trace.jsonl")))


@pytest.mark.slow
def test_one_root_since_and_impact(incident: Report) -> None:
    found = incident.document["incident"]
    assert found["root"] == "invalid-probabilities"
    assert set(found["consequences"]) == {c["cause"] for c in incident.document["causes"]} - {found["root"]}
    assert "degenerate-target" in found["consequences"]
    assert 1_700_000_200 <= found["since"] <= 1_700_000_203
    assert found["until"] is None
    steps = incident.document["audit"]["steps"]
    assert found["affected"]["steps"] == pytest.approx(steps - 200, abs=0.15 * steps)
    assert found["affected"]["share"] == pytest.approx(found["affected"]["steps"] / steps)
    assert 0 < found["affected"]["requests"] <= found["of"]["requests"]
    assert 0 < found["affected"]["tokens"] <= incident.document["audit"]["appended"]


def test_the_headline_has_the_onset(incident: Report) -> None:
    headline = incident.document["verdict"]["headline"]
    says = r"the target model produced invalid probabilities \(.*\) in \d+ of \d+ steps \(\d+%\); since 22:1[67]:\d\d"
    assert re.fullmatch(says, headline)


def test_the_first_screen_has_verdict_since_impact_and_the_next_command(incident: Report) -> None:
    first = terminal.summary(incident, width=80, color=False).splitlines()[:24]
    assert first[0].startswith("WRONG")
    for name in ("since", "impact", "signs", "next"):
        assert any(line.startswith(name) for line in first), name
    assert any(re.fullmatch(r" +sdtrace explain \S+ --request \S+ --step \d+", line) for line in first)


def test_signs_are_nested_and_there_is_no_advice_on_settings(incident: Report) -> None:
    page = html.page(incident).decode()
    assert page.count('<article class="cause"') == 1
    assert "Signs of the same incident" in page
    assert incident.document["tuning"] is None
    assert not [s for s in incident.sections if s.id.startswith("tune-")]
    assert any("mend invalid-probabilities first" in n for n in incident.document["verdict"]["not_checked"])


@pytest.mark.slow
def test_an_incident_that_is_over_has_an_end(tmp_path: Path) -> None:
    def edit(run: Record, requests: list[Record], steps: list[Record], rng: Generator) -> None:
        for i, step in enumerate(steps):
            step["at"] = 1_700_000_000.0 + i
            if 100 <= i < 140 and step["target_probs"]:
                step["target_probs"][0] = float("nan")

    scenario = Scenario(shape=Shape(tested=900), edit=edit)
    found = report(str(simulate(scenario).write(tmp_path / "trace.jsonl"))).document["incident"]
    assert 1_700_000_100 <= found["since"] < found["until"] <= 1_700_000_139
    assert not found["from_start"]


@pytest.mark.parametrize("cause", WORDS)
def test_a_rule_that_was_found_follows_the_head_of_its_cause(cause: str) -> None:
    """The head is a fact of its own: a sentence is not cut where it happens to have a colon."""
    words = WORDS[cause]
    assert words.says == words.head or words.says[len(words.head) :].startswith((": ", " and "))
    rule = Explanation(cause, "accepted when r: 0.5", None, None, None, 0, 9, where={"slot": "3"})
    outcomes = {"SD101": Outcome("fired", 9, 9, (), None, "9 of 9", 9)}
    (found,) = _decisions([rule], outcomes)
    assert found.headline == f"{words.head}: accepted when r: 0.5: 9 of 9"


LOGS = Path(__file__).parent / "logs"


@pytest.mark.one_of(2)
@pytest.mark.parametrize(
    ("name", "sign"), [("07_dp4_one_bad.log", "low-acceptance"), ("27d_dp4_one_dead.prom", "drafter-miswired")]
)
def test_one_bad_engine_of_several_is_one_root(name: str, sign: str) -> None:
    found = report(str(LOGS / name)).document
    assert found["incident"]["root"] == "series-outlier"
    assert found["incident"]["consequences"] == [sign]
    assert found["incident"]["affected"]["share"] == 0.25
    assert found["verdict"]["headline"].startswith("one engine accepts far less")
