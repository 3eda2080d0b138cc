"""No page gives one quantity two values, no interval leaves what is possible, every printed interval is drawn."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from sdtrace.api import diff, report, tune
from sdtrace.history import nightly
from sdtrace.history.report_store import report_of, stored
from sdtrace.history.state import opened
from sdtrace.render import text
from sdtrace.results import numbers
from sdtrace.results.report import Report, Section, Value
from tests.made.pairs import one_of
from tests.made.slow import FAST, SLOW
from tests.made.timing import Engine, Traffic, drive
from tests.made.told import contradictions, impossible, shown, told, undrawn
from tests.made.vllm_log import vllm_log

SAMPLES = Path(__file__).parents[2] / "sample_logs"
#: name -> engine and traffic: one length, plain steps among the others, several lengths, padding, weather, one request only.
WORLDS: dict[str, tuple[Engine, Traffic]] = {
    **{name: (engine, traffic) for name, (_, engine, traffic) in SLOW.items()},
    **FAST,
    "few": (Engine(), Traffic(requests=5)),
    "one": (Engine(plain=0.1), Traffic(requests=1, output=(150, 150))),
    "little": (Engine(noise=0.3), Traffic(requests=9, output=(6, 12), spread=0.2)),
}
#: A table of figures.
COLUMNS = ["figure", "value", "low (95%)", "high (95%)"]
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


@pytest.mark.one_of(3)
@pytest.mark.parametrize("value", [1.8, 2.0, 1.004, 12.3])
def test_tokens_per_step_have_two_places_everywhere(value: float) -> None:
    """Zeros at the end too: in sentences, tables (their intervals as well), evidence, trends and sparklines."""
    wanted = f"{value:.2f}"
    for name in ("tokens_per_step", "expected_tokens_per_step"):
        assert numbers.figure(value, name) == wanted
        assert text.figure(name, value) == wanted
        assert text.exact(value, name) == wanted
    for name in ("tokens per step", "whatever it is called"):
        rows: list[list[Value]] = [[name, value, value, value]]
        section = Section("a", "a", "", COLUMNS, rows, per_step=[name])
        assert [text.cell(section, rows[0], i) for i in range(1, 4)] == [wanted] * 3
        columns, rows = ["slice", name, "low", "high", "seconds"], [["a", value, value, value, 0.5]]
        section = Section("a", "a", "", columns, rows, per_step=[name])
        assert [text.cell(section, rows[0], i) for i in range(1, 5)] == [wanted] * 3 + ["0.5"]
        assert text.cell(replace(section, per_step=[]), rows[0], 1) == text.number(value), "a name declares nothing"


def test_sections_declare_their_tokens_per_step(tmp_path: Path) -> None:
    """So do those of a stored report from before they did."""
    steps = drive(*WORLDS["few"], seed=3).write(tmp_path / "trace")
    for found in (report(str(steps)), report(str(vllm_log(tmp_path, collapse=14)))):
        seen = 0
        for section in found.sections:
            rows = [str(row[0]) for row in section.rows] if section.columns[0] == "figure" else []
            named = [name for name in (*section.columns, *rows) if re.search("tokens per (drafting )?step", name)]
            assert [name for name in dict.fromkeys(named) if name not in section.per_step] == []
            seen += len(named)
        assert seen >= 3
        plain = json.loads(stored(found))
        for one in plain["sections"]:
            del one["per_step"]
        again = report_of(json.dumps(plain).encode())
        for one, other in zip(found.sections, again.sections, strict=True):
            assert set(other.per_step) <= set(one.per_step)
            assert [[text.cell(one, row, i) for i in range(len(row))] for row in one.rows] == [
                [text.cell(other, row, i) for i in range(len(row))] for row in other.rows
            ]


def test_a_page_has_the_zeros_of_tokens_per_step(tmp_path: Path) -> None:
    """Page, terminal and Markdown of a log whose figure ends in zeros, and of one where it falls to such a one."""
    path = vllm_log(tmp_path, collapse=14)
    whole = {
        "408 tokens": "400 tokens",
        "3.04": "3.00",
        "0.700, 0.490": "0.700, 0.450",
        "68.0%": "66.7%",
        "40.80": "40.00",
    }
    for was, now in whole.items():
        path.write_text(path.read_text().replace(was, now))
    page = shown(report(path))
    assert "3.00" in page
    assert re.findall(r"(?:^|[ ;|])(?:3|1)(?:\.\d)? (?:to|tokens per)[^.;|]{0,30}", page) == []
    assert {len(one.partition(".")[2]) for one in re.findall(r"([\d.]+) tokens per (?:drafting )?step", page)} == {2}
