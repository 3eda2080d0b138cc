"""Known issues: each row's signature holds for the figures of its report, for nothing healthy, and needs each of its conditions."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from sdtrace.cli.checks import command
from sdtrace.diagnosis.known import ISSUES, known
from sdtrace.diagnosis.known.issue import Known, holds, matches
from sdtrace.results.cause_words import WORDS
from tests.made.simulate import document

HEALTHY = {
    "engine": "vllm", "version": "0.33.0", "method": "eagle3", "k": 3, "rate": 0.68, "length": 3.04, "first": 0.86, "second": 0.68,
    "cause": set(), "check": set(), "said": {"config", "version"},
}  # fmt: skip
#: Causes that other parts name, or replays.
ELSEWHERE = {"state-not-rolled-back", "series-outlier", "text-not-from-target", "idle-speculation"}


def shown(issue: Known) -> dict[str, object]:
    """The figures of a report, on the engine that it is of."""
    engine = "vllm" if issue.engine == "any" else issue.engine
    return {"engine": engine, "version": None, "method": None} | dict(issue.sample)


@pytest.mark.parametrize("issue", ISSUES, ids=lambda i: i.name)
def test_a_signature_holds_for_its_sample_and_needs_each_condition(issue: Known) -> None:
    assert matches(issue, shown(issue))
    assert not matches(issue, HEALTHY | {"engine": shown(issue)["engine"]})
    for condition in issue.signature:
        name = condition.partition(":")[0] if ":" in condition else condition[: condition.index("=") - 1]
        assert holds(condition, shown(issue))
        assert not matches(issue, shown(issue) | {name: None})
    assert not matches(issue, shown(issue) | {"engine": "another"}) or issue.engine == "any"


def test_the_table_is_whole() -> None:
    assert len(ISSUES) >= 60
    links = [issue.link for issue in ISSUES]
    assert len(set(links)) == len(links)
    for issue in ISSUES:
        owner, repository, kind, number = issue.link.split("/")
        assert owner
        assert repository
        assert kind in ("issues", "pull")
        assert number.isdecimal()
        assert issue.workaround
        named = {v for c in issue.signature if c.startswith("cause:") for v in c[6:].split(",")}
        assert named <= set(WORDS) | ELSEWHERE, issue.name


@pytest.mark.parametrize(
    ("version", "there"), [("0.7.3", True), ("0.8.5", True), ("0.9.0", False), ("0.33.0", False), (None, True)]
)
def test_a_version_rules_out(version: str | None, there: bool) -> None:
    issue = next(i for i in ISSUES if i.versions == "<0.9")
    assert matches(issue, shown(issue) | {"version": version}) is there


def test_the_most_specific_stands_first() -> None:
    seen = {
        "engine": "vllm",
        "method": "eagle3",
        "first": 0.012,
        "rate": 0.01,
        "cause": {"drafter-miswired"},
        "check": set(),
        "said": set(),
    }
    names = [issue.name for issue in known(seen)]
    assert "vllm#50170" in names
    assert len(names) <= 8


@pytest.mark.slow
def test_a_log_has_the_signature_of_an_issue(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    path.write_text(
        "./llama-server -m target.gguf -md draft.gguf --port 8080\n"
        "0.01.250.741 W common_speculative_init: no implementations specified for speculative decoding\n"
        "0.10.000.000 I slot print_timing: id  0 | task 0 | eval time = 3000.00 ms / 300 tokens (10.00 ms per token, 100.00 t/s)\n"
        "0.10.000.002 I slot      release: id  0 | task 0 | stop processing: n_tokens = 350, truncated = 0\n"
    )
    found = document(path)["known_issues"]
    assert found[0]["issue"] == "llama.cpp#25345"
    assert found[0]["says"].startswith("has the signature of llama.cpp#25345: ")
    assert found[0]["link"] == "https://github.com/ggml-org/llama.cpp/issues/25345"


def test_they_are_listed() -> None:
    told = CliRunner().invoke(command, ["known"], standalone_mode=False)
    assert told.exception is None
    assert all(issue.name in told.output and issue.url in told.output for issue in ISSUES)
