"""Every cause says what would change its mind, with a command that exists."""

import shlex

import pytest

from sdtrace.cli import VERBS
from sdtrace.results.cause import Cause
from sdtrace.results.cause_words import WORDS
from sdtrace.results.refutations import named, refutation


@pytest.mark.parametrize("cause", sorted(set(WORDS) | named()))
def test_a_cause_says_what_would_refute_it(cause: str) -> None:
    side = WORDS[cause].side if cause in WORDS else "wrong"
    found = refutation(cause, side, [{"path": "a log.txt", "line": 3}])
    assert cause in named()
    assert len(found.says) > 20
    assert found.command is not None
    words = shlex.split(found.command)
    assert words[0] == "sdtrace"
    assert words[1] in VERBS
    assert "a log.txt" in words


def test_it_stands_in_the_row_of_a_cause() -> None:
    cause = Cause("low-acceptance", "slow", "suspected", (), "h", ({"path": "x.log"},), "advice", "drafter")
    assert cause.row()["refuted_by"].endswith("sdtrace diff SPECULATION_OFF x.log")


@pytest.mark.parametrize("cause", ["invalid-probabilities", "sampling-not-preserved", "kv-corrupted"])
def test_what_a_line_of_a_log_says_is_not_refuted_by_a_command_on_steps(cause: str) -> None:
    row = Cause(
        cause, "wrong", "proved", ("SD425",), "says", ({"path": "server.log", "line": 3},), "do", "verifier"
    ).row()
    assert row["refuted_by"].endswith("sdtrace diff SPECULATION_OFF server.log")
