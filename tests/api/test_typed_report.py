"""The report of a program: typed parts say what the document says, frames have their declared columns, saving and comparing work."""

import json
import pickle
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast, get_args

import pytest

import sdtrace
from sdtrace.api import parts
from sdtrace.api.frames import COLUMNS
from sdtrace.api.typed_report import ENDINGS
from sdtrace.cli import run
from sdtrace.counters.changes import _LEAST, _OF_EVENT
from sdtrace.results.cause_words import WORDS
from sdtrace.results.words import Blame
from tests.made.fake_engine import Engine, serving

SAMPLES = Path(__file__).parents[2] / "sample_logs"
TRACE = SAMPLES / "transformers-sampled.jsonl.gz"
PLANTED = SAMPLES / "transformers-lenient-0.8.planted.jsonl.gz"
#: What a program without types may hand in.
BYTES, TEXT = cast(Any, b"x.log"), cast(Any, "2h")


@pytest.fixture(scope="module")
def reports() -> dict[str, sdtrace.Report]:
    """Of each kind one: a trace, one with a fault, a log, a comparison, settings."""
    trace, planted = sdtrace.report(TRACE), sdtrace.report(str(PLANTED))
    return {
        "trace": trace,
        "planted": planted,
        "log": sdtrace.report([SAMPLES / "engines" / "vllm.log"]),
        "diff": trace.diff(planted),
        "tune": sdtrace.tune(TRACE),
    }


def plain(value: Any) -> Any:
    """A value of a part as the document has it."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return list(value)
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    if hasattr(value, "__dataclass_fields__"):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return value


def same(part: Any, row: dict[str, Any]) -> None:
    """What a part has in common with its row says the same; keys that are added stand in the document alone until they are typed."""
    told = plain(part)
    shared = set(row) & set(told)
    assert len(shared) >= min(len(told) - 1, 4)
    for name in shared - {"affected", "change", "series", "coverage"}:
        assert told[name] == row[name], name


@pytest.mark.one_of(6)
@pytest.mark.parametrize("name", ["trace", "planted", "log", "diff", "tune"])
def test_parts_say_what_the_document_says(name: str, reports: dict[str, sdtrace.Report]) -> None:
    report, document = reports[name], reports[name].document
    same(report.verdict, document["verdict"])
    for rows, told in (("causes", report.causes), ("checks", report.checks), ("changes", report.changes)):
        assert len(told) == len(document[rows])
        for part, row in zip(told, document[rows], strict=True):
            same(part, row)
    assert (report.incident is None) == (document["incident"] is None)
    if report.incident is not None:
        same(report.incident, document["incident"])
    if report.acceptance is not None:
        same(report.acceptance, document["acceptance"])
        for part, row in zip(report.acceptance.series, document["acceptance"].get("series") or [], strict=True):
            same(part, row)
    if report.time is not None:
        told = plain(report.time)
        assert told == {field: document["time"][field] for field in told}
    assert report.to_dict() == json.loads(json.dumps(document))


def test_of_a_comparison_and_of_settings(reports: dict[str, sdtrace.Report]) -> None:
    comparison, tuning = reports["diff"].comparison, reports["tune"].tuning
    assert comparison is not None
    assert tuning is not None
    said = reports["diff"].document["diff"]
    assert [plain(metric) for metric in comparison.metrics] == said["metrics"]
    assert [(c.cause, c.was, c.now, c.change) for c in comparison.causes] == [
        (c["cause"], c["was"], c["is"], c["change"]) for c in said["causes"]
    ]
    lengths = reports["tune"].document["tuning"]["tau"]
    assert (tuning.current, tuning.best, len(tuning.curve)) == (
        lengths["current"],
        lengths["best"],
        len(lengths["curve"]),
    )
    assert reports["trace"].comparison is None


def test_closed_sets_hold_every_word_that_is_used() -> None:
    assert {words.blame for words in WORDS.values()} <= set(get_args(Blame))
    assert {*_LEAST, *_OF_EVENT.values()} == set(get_args(parts.What))


@pytest.mark.parametrize("name", ["trace", "planted", "log", "diff"])
def test_frames_have_the_declared_columns(name: str, reports: dict[str, sdtrace.Report]) -> None:
    frames = reports[name].frames
    for frame, columns in COLUMNS.items():
        found = getattr(frames, frame)
        assert dict(found.schema) == {column: declared.dtype for column, declared in columns.items()}, frame
        assert frames.columns(frame) is columns
    with pytest.raises(sdtrace.UsageError, match="no such frame") as caught:
        frames.columns("request")
    assert "requests" in caught.value.hint


def test_frames_add_up_to_the_figures(reports: dict[str, sdtrace.Report]) -> None:
    report = reports["trace"]
    figures, frames = report.document["acceptance"], report.frames
    for frame in (frames.requests, frames.timeline):
        for name in ("steps", "drafted", "tested", "accepted"):
            assert frame[name].sum() == figures[name]
    assert frames.positions["accepted"].sum() == figures["accepted"]
    assert frames.positions["acceptance"].to_list() == pytest.approx(figures["conditional_by_position"])
    assert frames.requests["temperature"].unique().to_list() == [0.8]
    assert frames.windows.is_empty()
    assert reports["log"].frames.windows.height == reports["log"].document["inputs"][0]["windows"]
    assert frames.causes["cause"].to_list() == [cause.cause for cause in report.causes]


@pytest.mark.slow
def test_it_is_compared_without_its_inputs(reports: dict[str, sdtrace.Report]) -> None:
    assert reports["diff"].document == sdtrace.diff(TRACE, PLANTED).document
    with pytest.raises(sdtrace.UsageError, match="no sums"):
        reports["diff"].diff(reports["trace"])


@pytest.mark.one_of(8)
@pytest.mark.parametrize("ending", ENDINGS)
def test_it_is_saved_as_what_its_ending_says(ending: str, reports: dict[str, sdtrace.Report], tmp_path: Path) -> None:
    for name in ("planted", "log", "diff"):
        file = reports[name].save(tmp_path / f"{name}{ending.upper()}")
        assert len(file.read_bytes()) > 100
    if ENDINGS[ending] != "text":
        command = {"html": "-o"}.get(ENDINGS[ending], f"--{ENDINGS[ending]}")
        assert run(["report", str(PLANTED), "-q", command, str(tmp_path / f"c{ending}")]) == 1
        assert (tmp_path / f"c{ending}").read_bytes() == (tmp_path / f"planted{ending.upper()}").read_bytes()


@pytest.mark.slow
def test_it_is_not_saved_over_its_input_or_as_what_it_is_not(tmp_path: Path) -> None:
    log = tmp_path / "engine.json"
    log.write_bytes((SAMPLES / "engines" / "vllm.log").read_bytes())
    report = sdtrace.report(log)
    for name, why in (("engine.json", "is an input"), ("report.pdf", "no format"), ("report", "no format")):
        with pytest.raises(sdtrace.UsageError, match=why):
            report.save(tmp_path / name)
    with pytest.raises(sdtrace.OutputError):
        report.save(tmp_path / "missing" / "x.json")
    assert report.save(tmp_path / "report", format="json").read_bytes().startswith(b"{")
    assert log.read_bytes() == (SAMPLES / "engines" / "vllm.log").read_bytes()


def test_it_is_short_in_a_console_and_a_page_in_a_notebook(reports: dict[str, sdtrace.Report]) -> None:
    for report in reports.values():
        assert len(repr(report)) < 260
        assert report.verdict.state in repr(report)
        assert len(str(report).splitlines()) > 4
        assert report._repr_html_().startswith("<iframe")
    evil = reports["log"].document | {"verdict": reports["log"].document["verdict"] | {"headline": "a\x1b[31m\nb" * 99}}
    told = repr(replace(reports["log"], document=evil))
    assert len(told.splitlines()) == 1
    assert "\x1b" not in told


def test_it_travels_without_its_sums(reports: dict[str, sdtrace.Report]) -> None:
    report = reports["trace"]
    assert report.verdict  # a part that was asked for stays behind too
    there = pickle.loads(pickle.dumps(report))
    assert there == report
    assert there.verdict == report.verdict
    assert there.frames.requests.is_empty()
    assert there.frames.causes.equals(report.frames.causes)


@pytest.mark.slow
def test_a_server_is_asked() -> None:
    with serving(Engine()) as url:
        found = sdtrace.probe(url, requests=6, tokens=8)
    assert found.document["probe"]["requests"] == 6
    assert found.verdict.state == "cannot-tell" or found.verdict.headline


@pytest.mark.one_of(5)
@pytest.mark.parametrize(
    ("call", "error", "says", "hint"),
    [
        (lambda: sdtrace.report("no-such.log"), sdtrace.NoInputError, "no such file", "check the path"),
        (lambda: sdtrace.read([]), sdtrace.UsageError, "no input", "give a path"),
        (lambda: sdtrace.report(BYTES), sdtrace.UsageError, "no input", "give a path"),
        (lambda: sdtrace.diff(TRACE, []), sdtrace.UsageError, "no input", "give a path"),
        (lambda: sdtrace.report(TRACE, format="vllm"), sdtrace.UsageError, "no such reader", "known: "),
        (lambda: sdtrace.report(TRACE, since=datetime(2026, 1, 1)), sdtrace.UsageError, "no time", "zone"),
        (lambda: sdtrace.report(TRACE, until=TEXT), sdtrace.UsageError, "no time", "Unix"),
        (lambda: sdtrace.report(TRACE, where="task"), sdtrace.UsageError, "not understood", "tags.KEY"),
        (lambda: sdtrace.tune(TRACE, slo_itl_ms=0), sdtrace.UsageError, "not above 0", "leave it out"),
        (lambda: sdtrace.explain(TRACE), sdtrace.UsageError, "which request", "--request"),
        (lambda: sdtrace.probe("http://127.0.0.1:9", requests=0), sdtrace.UsageError, "requests >= 1", "leave"),
        (lambda: sdtrace.probe("http://127.0.0.1:9"), sdtrace.NoInputError, "127.0.0.1", ""),
        (
            lambda: sdtrace.replay(TRACE, verifier="http://127.0.0.1:9", drafter="x"),
            sdtrace.UsageError,
            "drafter",
            "leave it out",
        ),
    ],
)
def test_errors_say_what_to_do(call: Any, error: type[sdtrace.SdtraceError], says: str, hint: str) -> None:
    with pytest.raises(error, match=says) as caught:
        call()
    assert hint in caught.value.hint
    assert caught.value.__notes__ == [f"hint: {caught.value.hint}"], "a traceback shows the way out"


@pytest.mark.slow
def test_times_with_a_zone_and_one_condition(reports: dict[str, sdtrace.Report]) -> None:
    rows = reports["trace"].frames.requests
    first = rows.sort("first_at").row(0, named=True)
    noon = datetime.fromtimestamp(first["last_at"] + 1.0, UTC)
    later = sdtrace.report(TRACE, until=noon, where=f"request_id={first['request_id']}")
    assert later.document["acceptance"]["steps"] == first["steps"]
