"""`sdtrace simulate text-...`: faults of responses as the verb writes them, named on a page that does not contradict itself."""

from pathlib import Path

import pytest

from sdtrace.api import report
from sdtrace.cli import run
from sdtrace.render import terminal
from sdtrace.results.report import Report
from sdtrace.results.words import TITLES, VerdictState
from sdtrace.simulate.responses import TEXT_FAULTS
from tests.made.pairs import one_of
from tests.made.told import contradictions, impossible


def simulated(tmp_path: Path, *arguments: str) -> Report:
    out = tmp_path / "made.jsonl"
    assert run(["simulate", arguments[0], str(out), "--seed", "5", *arguments[1:]]) == 0
    return report(out, ids=True)


@pytest.mark.parametrize("name", one_of(2, (n for n in TEXT_FAULTS if n != "text-healthy")))
def test_text_faults_are_named_and_their_pages_hold(name: str, tmp_path: Path) -> None:
    """With what the verb writes by itself: the first line names the fault, it is the root, no two places differ."""
    found = simulated(tmp_path, name)
    document = found.document
    root = document["causes"][0]
    state: VerdictState = "metric-suspect" if name == "text-zero" else "wrong"
    assert (root["cause"], document["verdict"]["state"]) == (TEXT_FAULTS[name].cause, state)
    first = " ".join(terminal.summary(found, width=1000, color=False).splitlines()[0].split())
    assert first.startswith(f"{TITLES[state].upper()} {root['headline']}")
    assert (document["incident"] or {"root": root["cause"]})["root"] == root["cause"]
    assert contradictions(found) == []
    assert impossible(found) == []


@pytest.mark.one_of(3)
@pytest.mark.parametrize(
    "arguments",
    [
        ("text-healthy",),
        ("text-healthy", "--shape", "llamacpp", "--top-k", "5", "--temperature", "0.7"),
        # of these forms the logprobs may be after what was asked, and then nothing is wrong
        ("text-temperature", "--shape", "completion"),
        ("text-uncut", "--shape", "completion"),
    ],
    ids=" ".join,
)
def test_what_no_page_can_name_is_not_named(arguments: tuple[str, ...], tmp_path: Path) -> None:
    found = simulated(tmp_path, *arguments)
    assert (found.document["verdict"]["state"], found.document["causes"]) == ("healthy", [])
    assert contradictions(found) == []
