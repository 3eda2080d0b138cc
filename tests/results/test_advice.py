"""What to do is a sentence and a command: pages print both from values, whatever the sentence says."""

from dataclasses import replace
from typing import Any

import pytest

from sdtrace.checks import sd302_calibrated_ranks
from sdtrace.history.alarms import alarms
from sdtrace.render import incident
from sdtrace.results.advice import Advice
from sdtrace.results.cause import Cause, first_command
from sdtrace.results.cause_words import WORDS
from sdtrace.results.refutations import refutation

SHOWN = "sdtrace explain 'a b.jsonl' --request 'x; sdtrace y'"
WITNESS = {"path": "a b.jsonl", "line": 3, "request_id": "x; sdtrace y", "command": SHOWN}
#: Sentences that look as if a command stood in them.
SENTENCES = ["shorten the draft: sdtrace tune has the curve", "look at it; sdtrace cannot", "mend it"]


def cause(name: str, says: str, evidence: tuple[dict[str, Any], ...], checks: tuple[str, ...] = ("SD101",)) -> Cause:
    made = Cause(name, "wrong", "proved", checks, "says", evidence, says, "sampler")
    return replace(made, command=first_command(evidence))


@pytest.mark.parametrize("says", SENTENCES)
def test_a_command_stands_beside_the_sentence(says: str) -> None:
    row = cause("decision-mismatch", says, (WITNESS,)).row()
    assert row["advice"] == f"{says}; {SHOWN}"
    assert incident.advised(row) == (says, SHOWN)
    assert incident.advised(cause("decision-mismatch", says, ()).row()) == (says, None)


@pytest.mark.parametrize(
    ("name", "checks", "command"),
    [
        ("tau-too-large", (), "sdtrace tune 'a b.jsonl'"),
        ("tau-too-large", ("SD425",), SHOWN),  # a line of a log has no curve
        ("draft-too-slow", (), SHOWN),
    ],
)
def test_the_curve_is_the_answer_where_the_cause_is_of_it(name: str, checks: tuple[str, ...], command: str) -> None:
    assert cause(name, "draft less", (WITNESS,), checks).next == Advice("draft less", command)


def test_a_command_with_servers_of_ones_own_stands_on_its_page() -> None:
    made = cause("text-not-from-target", "compare", ({"path": "a", "surface": "response"},))
    assert made.next == Advice("compare", "sdtrace checks SD302")
    assert "sdtrace probe URL --against URL2" in (sd302_calibrated_ranks.__doc__ or "")


def test_a_refutation_is_a_sentence_and_a_command() -> None:
    row = cause("metric-inconsistent", "mend it", ({"path": "a: sdtrace b.log"},)).row()
    says, command = incident.refuted(row)
    assert command == "sdtrace detect 'a: sdtrace b.log'"
    assert row["refuted_by"] == f"{says} {command}"
    assert refutation(row["cause"], row["side"], row["evidence"]).in_line(": ") == row["refuted_by"]


@pytest.mark.parametrize("says", SENTENCES)
def test_an_alarm_has_the_command_of_its_cause(says: str) -> None:
    made = cause("decision-mismatch", says, (WITNESS,))
    step = made.instruction
    row = made.row() | {"service": "a", "next": step.row()}
    record = {"night": "2026-11-01", "causes": [row], "services": {}}
    (alarm,) = alarms([record])
    assert (alarm.advice, alarm.next) == (f"{says}; {SHOWN}", Advice(says, SHOWN))
    del row["next"]  # a record of before
    (alarm,) = alarms([record])
    assert alarm.next == Advice(alarm.advice)


def test_what_is_put_off_says_so() -> None:
    document: dict[str, Any] = {
        "causes": [{"certainty": "proved"}],
        "incident": {"root": "greedy-mismatch"},
        "verdict": {"state": "wrong"},
        "inputs": [],
    }
    row = replace(cause("tau-too-large", "draft less", (WITNESS,), ()), side="slow").row()
    later = incident.later(row, document)
    assert later["advice"] == "mend greedy-mismatch first, then measure again"
    assert incident.advised(later) == (later["advice"], SHOWN)


@pytest.mark.parametrize("name", WORDS)
def test_advice_is_a_sentence_without_a_command(name: str) -> None:
    """Short, and none of it is to be typed: the command stands on its own line."""
    says = WORDS[name].advice
    assert "sdtrace" not in says
    assert len(says) <= 150
    assert says[0].islower()
    assert not says.endswith(".")
