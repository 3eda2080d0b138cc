"""`sdtrace simulate`: made traces of the product's own simulator, which shares no code with the one of the tests."""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from sdtrace.checks import CHECKS
from sdtrace.cli import run
from sdtrace.diagnosis.diagnose import diagnose
from sdtrace.document.document import compose
from sdtrace.errors import UsageError
from sdtrace.pipeline import audited
from sdtrace.render import terminal
from sdtrace.results.report import Report
from sdtrace.simulate import FAULTS, LAWS, Settings, simulate
from sdtrace.tuning.attach import attach
from sdtrace.tuning.sample import of_tally
from tests.made.chips import evidence_untrue, untrue
from tests.made.pairs import in_turn, one_of
from tests.made.told import contradictions, impossible
from tests.power.judge import Made, at_level, judged, made

#: Tested positions that show a fault with everything logged, where 600 do not.
LARGER = {
    "recovery-reuses-draw": 1200,
    "draft-top-k": 4000,
    "draft-temperature": 1500,
    "leaning-draws": 6000,
    "recovered-other-q": 2000,
    "residual-squared": 1500,
    "residual-argmax": 1500,
    "residual-stops": 6000,
    "shared-noise": 6000,
    "lenience-one-adapter": 6000,
    "lenience-one-rank": 6000,
    "lenience-first-steps": 6000,
}


def reported(trace: Made) -> Report:
    """The report of a trace in memory, with its ids."""
    whole, overridden = audited([trace])
    found = diagnose(whole, CHECKS, overridden)
    return attach(compose(whole, found, CHECKS, ids=True), found, of_tally(whole, found.choices), None)


@pytest.mark.one_of(6)
@pytest.mark.parametrize("name", one_of(3, (n for n in FAULTS if n != "healthy")))
def test_faults_are_named_and_their_pages_hold(name: str) -> None:
    """The first line names the fault, it is the root, no two places differ, and no token is said that was not there."""
    level = "rows" if FAULTS[name].cause == "shared-noise" else "draws"
    tested = LARGER.get(name, 600)
    trace = made(Settings(name, tested=tested, vocab=256 if tested < 1500 else 128, level=level, seed=5))
    found, cause = reported(trace), FAULTS[name].cause
    document = found.document
    assert document["causes"][0]["cause"] == cause
    assert document["incident"]["root"] == cause
    first = terminal.summary(found, width=1000, color=False).splitlines()[0]
    assert first.startswith(f"WRONG    {document['causes'][0]['headline']}")
    assert not document["tuning"] or not document["tuning"]["advice"]
    assert contradictions(found) == []
    assert impossible(found) == []
    assert found.viewer
    assert untrue(found, trace.held) == []
    assert evidence_untrue(found, trace.held) == []


@pytest.mark.slow
def test_an_untrue_page_is_seen() -> None:
    """The reader of chips is no rubber stamp: another token in the trace is another token on the page."""
    trace = made(Settings("lenience", tested=600, vocab=256, seed=5))
    found = reported(trace)
    assert untrue(found, trace.held) == []
    batches = [
        replace(b, steps=b.steps.with_columns(pl.col("output_token_ids").list.eval(pl.element() + 1)))
        for b in trace.held
    ]
    assert len(untrue(found, batches)) > 10


@pytest.mark.one_of(8)
@pytest.mark.parametrize(("law", "dtype"), in_turn(list(LAWS), ["float32", "bfloat16", "decimals:3"], of=3))
def test_healthy_traces_are_not_accused(law: str, dtype: str) -> None:
    trace = made(Settings("healthy", law=law, tested=800, vocab=128, dtype=dtype, seed=6))
    for level in ("basic", "draws"):
        assert judged(at_level(trace, level, law)).causes == ()


def test_a_trace_is_written_and_read(tmp_path: Path) -> None:
    out = tmp_path / "made.jsonl"
    arguments = [
        "simulate",
        "lenience",
        str(out),
        "--tested",
        "500",
        "--vocab",
        "64",
        "--strength",
        "0.6",
        "--seed",
        "3",
    ]
    assert run(arguments) == 0
    assert run([*arguments[:2], str(tmp_path / "again.jsonl"), *arguments[3:]]) == 0
    assert out.read_bytes() == (tmp_path / "again.jsonl").read_bytes()
    assert run(["report", str(out), "-q", "--json", str(tmp_path / "found.json")]) == 1
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["causes"][0]["cause"] == "lenient-acceptance"
    assert found["inputs"][0]["losses"] == []
    assert run(["simulate", "healthy", str(tmp_path / "folder"), "--tested", "200", "--vocab", "64"]) == 0
    assert run(["report", str(tmp_path / "folder"), "-q"]) == 0


def test_what_cannot_be_made_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", "--list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in FAULTS)
    with pytest.raises(UsageError, match="no such fault"):
        list(simulate(Settings("nonsense")))
    with pytest.raises(UsageError, match="under the greedy law"):
        list(simulate(Settings("lenience", law="greedy")))
    assert run(["simulate", "lenience"]) == 2
