"""No page gives one quantity two values, no interval leaves what is possible, every printed interval is drawn."""

import re
from pathlib import Path

import pytest

from sdtrace.api import diff, report, tune
from sdtrace.history import nightly
from sdtrace.history.state import opened
from sdtrace.results.report import Report
from tests.made.pairs import one_of
from tests.made.slow import FAST, SLOW
from tests.made.timing import Engine, Traffic, drive
from tests.made.told import contradictions, impossible, shown, told, undrawn

SAMPLES = Path(__file__).parents[2] / "sample_logs"
#: name -> engine and traffic: one length, plain steps among the others, several lengths, padding, weather, one request only.
WORLDS: dict[str, tuple[Engine, Traffic]] = {
    **{name: (engine, traffic) for name, (_, engine, traffic) in SLOW.items()},
    **FAST,
    "few": (Engine(), Traffic(requests=5)),
    "one": (Engine(plain=0.1), Traffic(requests=1, output=(150, 150))),
    "little": (Engine(noise=0.3), Traffic(requests=9, output=(6, 12), spread=0.2)),
}
#: Those that differ most in what a page has of them; all of them run among the slow tests.
QUICK = ("ragged", "one")
LOGS = sorted(p for p in (SAMPLES / "engines").iterdir() if not p.name.endswith(".expected.json"))


def consistent(found: Report) -> None:
    assert contradictions(found) == []
    assert impossible(found) == []
    assert undrawn(found) == []


@pytest.mark.one_of(2)
@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in WORLDS])
def test_made_traces(name: str, tmp_path: Path) -> None:
    found = report(str(drive(*WORLDS[name], seed=3).write(tmp_path / "trace")))
    consistent(found)
    assert {"tokens per step", "step"} <= {one.what for one in told(found)}, "the collector reads the page"


@pytest.mark.one_of(3)
@pytest.mark.parametrize("path", one_of(8, LOGS), ids=lambda p: p.name)
def test_logs_of_every_engine(path: Path) -> None:
    consistent(report(path))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["greedy", "sampled"])
def test_what_tune_says_is_what_the_report_says(name: str) -> None:
    path = SAMPLES / f"transformers-{name}.jsonl.gz"
    for found in (report(path), tune(path), tune(path, baseline_ms=60.0)):
        consistent(found)
    ids = [section.id for section in found.sections]
    assert ids[:2] == ["tune-advice", "tune-tau"], "what was asked stands first"
    assert "tune-advice" not in [section.id for section in report(path).sections][:2]


@pytest.mark.slow
def test_a_figure_is_written_one_way() -> None:
    """Tokens per step in two places, shares in percent with one, wherever they stand; columns that hold nothing are left out."""
    found = report(SAMPLES / "transformers-lenient-0.8.planted.jsonl.gz")
    a, page = found.document["acceptance"], shown(found)
    assert f"{a['tokens_per_step']:.2f}" in page
    assert f"{a['tokens_per_step']:.3f}" not in page
    for name in ("rate_of_drafted", "rate_of_tested", "expected_rate"):
        assert f" {a[name]:.1%} " in page
        assert f" {a[name]:.4g} " not in page
    assert "version or configuration" not in page


CHANGE = SAMPLES / "change"
#: Traces, a log that prints no steps for a part of its windows, and the healthy log of a server.
PAIRS = {
    "traces": (CHANGE / "tau-2.jsonl.gz", CHANGE / "tau-6.jsonl.gz"),
    "logs": (SAMPLES / "vllm-server.log.gz", SAMPLES / "engines" / "vllm.log"),
    "a trace and a log": (CHANGE / "tau-2.jsonl.gz", SAMPLES / "vllm-server.log.gz"),
}


@pytest.mark.one_of(3)
@pytest.mark.parametrize("name", PAIRS)
def test_a_comparison_says_what_the_report_of_its_candidate_says(name: str) -> None:
    found = diff(*PAIRS[name])
    consistent(found)
    assert {"tokens per step", "step"} <= {one.what for one in told(found)}


@pytest.mark.slow
def test_nights(tmp_path: Path) -> None:
    inputs = (SAMPLES / "transformers-lenient-0.8.planted.jsonl.gz", SAMPLES / "vllm-server.log.gz")
    with opened(str(tmp_path / "state"), create=True) as state:
        for day, path in enumerate(inputs, 20):
            nightly.add(state, [str(path)], night=f"2026-11-{day}")
        for night in state.nights():
            found = nightly.report_of(state, night)
            consistent(found)
            assert any(one.where.startswith("history") for one in told(found)), "the trend is read too"


@pytest.mark.slow
def test_few_requests_have_no_interval(tmp_path: Path) -> None:
    found = report(str(drive(*WORLDS["few"], seed=3).write(tmp_path / "trace")))
    assert found.document["acceptance"]["ci"]["tokens_per_step"] is None
    assert found.document["time"]["speedup_low"] is None or found.document["time"]["baseline_ms"] is None
    (section,) = [s for s in found.sections if s.id == "acceptance"]
    assert "Too few requests for an interval" in section.sentence


@pytest.mark.slow
def test_the_collector_sees_a_second_value(tmp_path: Path) -> None:
    """A page with another step time in one sentence is caught."""
    found = report(str(drive(*WORLDS["draft-plain"], seed=3).write(tmp_path / "trace")))
    assert contradictions(found) == []
    time = found.document["time"]
    time["step_ms"] *= 1.1
    assert any(re.match("step: ", one) for one in contradictions(found))
