"""What is known is read from values: names and sentences that look like something else change nothing."""

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from sdtrace.counters.changes import Change
from sdtrace.counters.series import Tally
from sdtrace.diagnosis.incident import Affected, Incident
from sdtrace.diagnosis.since import fallen
from sdtrace.diagnosis.verdict import DATED, verdict
from sdtrace.render import difference
from sdtrace.results.cause import Cause
from sdtrace.results.report import Report
from sdtrace.schema.counters import no_windows

FAULT = Cause("greedy-mismatch", "wrong", "proved", ("SD141",), "the argmax is another", (), "look", "sampler")


@pytest.mark.parametrize(
    ("cause", "dated"),
    [
        (FAULT, False),
        (replace(FAULT, beside=("beside it x has been dead since boot (server.log:3)",)), False),
        (replace(FAULT, checks=("SD141", DATED)), True),
    ],
)
def test_an_onset_is_left_out_where_a_check_has_told_it(cause: Cause, dated: bool) -> None:
    incident = Incident(cause.cause, (), 36_000.0, None, Affected(), False, (None, None))
    coverage: Any = dict.fromkeys(("speed", "acceptance", "correctness", "metrics"), "judged")
    state, headline = verdict([cause], incident, figures={}, choices={}, coverage=coverage)
    assert state == "wrong"
    assert headline.text.startswith(cause.headline)
    assert headline.text.endswith("; since 36,000 s") is not dated


def tally(by: Any, place: str, *within: str) -> Tally:
    return Tally(by, place, within, "vllm", "log", pl.DataFrame(), "a.log", 1, frozenset(), True)


def test_a_place_lies_within_what_is_around_it_whatever_it_is_called() -> None:
    pod, odd = tally("pod", "a"), tally("pod", "b of pod a")
    assert tally("engine", "0", "pod a").inside(pod)
    assert tally("slot", "1", "engine 0", "pod a").inside(pod)
    assert tally("slot", "1", "engine 0", "pod a").inside(tally("engine", "0", "pod a"))
    assert not tally("slot", "1", "engine 0", "pod a").inside(tally("engine", "0", "pod b"))
    assert not odd.inside(pod), "its name ends like a place in that pod"
    assert odd.name == "b of pod a"
    assert not pod.inside(tally("all", "vllm"))


def test_the_place_that_fell_is_named_by_its_windows() -> None:
    fell = Change("acceptance", "some engine whose name has blanks rank 1", 5.0, 0.8, 0.1, "a.log", 9, named="rank 1")
    assert fallen([fell], [], no_windows()) == {("rank", "1")}


def test_the_answer_of_a_comparison_stands_behind_its_word() -> None:
    told: dict[str, Any] = {"answer": "fine", "says": "fine: and more", "attribution": [], "slices": [], "metrics": []}
    document: dict[str, Any] = {
        "diff": told | {"causes": [], "configuration": {}, "notes": []},
        "verdict": {"state": "healthy", "headline": "fine: fine: and more", "not_checked": []},
        "causes": [],
        "inputs": [],
        "acceptance": None,
        "time": None,
        "incident": None,
    }
    text = difference.summary(Report(document, [], []), width=80, color=False)
    assert text.splitlines()[0].split() == ["FINE", "fine:", "and", "more"]
