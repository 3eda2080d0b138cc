"""The header of a report: what it is about, and the timeline on a true clock."""

import re
from pathlib import Path

import pytest

from sdtrace.api import report
from sdtrace.document.timeline import MARKED
from sdtrace.render import html
from sdtrace.render.about import facts, title
from sdtrace.render.axes import ticks
from sdtrace.render.charts import svg
from sdtrace.results.report import Chart, Report
from tests.made.vllm_log import vllm_log

SAMPLES = Path(__file__).parents[2] / "sample_logs"


@pytest.fixture(scope="module")
def planted() -> Report:
    return report(SAMPLES / "transformers-lenient-0.8.planted.jsonl.gz")


@pytest.fixture(scope="module")
def collapsed(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return report(vllm_log(tmp_path_factory.mktemp("collapse")))


@pytest.mark.slow
def test_a_trace_says_what_it_is_about(planted: Report) -> None:
    about = planted.document["about"]
    assert about["engines"] == [{"engine": "transformers", "version": "5.23.0"}]
    assert about["target_models"] == ["SmolLM2-135M-Instruct"]
    assert (about["methods"], about["draft_lengths"]) == (["draft_model"], [5])
    assert about["sampling"]["temperature"] == [0.8]
    assert (about["requests"], about["steps"], about["clock"]) == (12, 399, "UTC")
    assert planted.document["inputs"][0]["engine"] == "transformers"
    assert title(planted.document) == "Wrong: lenient-acceptance, transformers 5.23.0, 2026-11-23"
    assert "<title>Wrong: lenient-acceptance, transformers 5.23.0" in html.page(planted).decode()


@pytest.mark.slow
def test_a_log_says_what_it_is_about(collapsed: Report) -> None:
    about, shown = collapsed.document["about"], dict(facts(collapsed.document))
    assert about["engines"] == [{"engine": "vllm", "version": "0.11.0"}]
    assert collapsed.document["inputs"][0]["engine"] == "vllm"
    assert about["draft_lengths"] == [3]
    assert shown["Draft length (k)"] == "3 (num_speculative_tokens)"
    assert re.fullmatch(r"\d{4}-03-02 10:00:00 to 10:03:50 UTC", shown["Period"])


def test_the_timeline_is_the_first_chart_with_marks_and_shade(collapsed: Report) -> None:
    charts = [s for s in collapsed.sections if s.chart is not None]
    first = charts[0]
    assert first.id == "over-time"
    chart = first.chart
    assert chart is not None
    assert chart.axis == "clock"
    incident = collapsed.document["incident"]
    assert chart.shade == (incident["since"], chart.at[-1])
    assert 0 < len(chart.notes) <= MARKED
    assert any("acceptance 0.68 to 0" in what for _, what in chart.notes)
    assert any("error" in what for _, what in chart.notes)
    assert "10:02:00 acceptance 0.68 to 0" in first.sentence
    assert first.rows[0][0] == "10:00:00"


def test_points_stand_where_their_time_is_and_a_gap_is_a_gap() -> None:
    at = [0.0, 10.0, 20.0, 30.0, 200.0, 210.0]
    chart = Chart("line", "time", "y", [f"{a}" for a in at], {"y": [1.0] * 6}, at=[1.7e9 + a for a in at], axis="clock")
    drawn = str(svg(chart, "i")).split("</svg>")[0]
    xs = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', drawn)]
    assert "time (UTC), 2023-11-14" in drawn
    assert (xs[1] - xs[0]) * 17 == pytest.approx(xs[4] - xs[3], rel=0.05)
    assert len(re.findall(r'<path d="M', drawn)) == 2


@pytest.mark.parametrize("span", [0.0, 3.0, 59.0, 3600.0, 86400.0, 9e6, 3e9, 1e15])
def test_ticks_are_few_round_and_inside(span: float) -> None:
    found = ticks(1.7e9 + 0.4, 1.7e9 + 0.4 + span, 8)
    assert len(found) <= 9
    assert all(1.7e9 <= at <= 1.7e9 + span + 1 for at, _ in found)
    assert len({label for _, label in found}) == len(found) or span > 3e7


def test_times_that_no_calendar_has_are_drawn_too() -> None:
    chart = Chart("line", "time", "y", ["a", "b"], {"y": [1.0, 2.0]}, at=[1e9, 1e299], axis="clock")
    assert "<svg" in str(svg(chart, "i"))
