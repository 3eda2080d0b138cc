"""What the viewer and `explain` say of a step is what the trace holds: the emitted token as it was, NaN as NaN, law and engine apart."""

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from sdtrace.api import explain, report
from sdtrace.render import html
from sdtrace.render.html import chips, emitted, folded
from sdtrace.render.steps import explanation, quiet
from sdtrace.results.report import Report
from tests.made.simulate import Scenario, Trace, simulate
from tests.made.world import Shape

#: Faults of decisions, of the token after the block, of how many are appended, of recorded values.
KINDS = (
    "lenience-0.7",
    "inverted-ratio",
    "recovered-from-q",
    "holes-emitted",
    "bonus-twice",
    "prefix-differs",
    "p-nan",
)


def made(fault: str, folder: Path) -> tuple[Trace, Report, str]:
    trace = simulate(Scenario(fault=fault, shape=Shape(tested=300)))
    path = trace.write(folder / "trace.jsonl")
    return trace, report(str(path), ids=True), str(path)


@pytest.fixture(scope="module", params=KINDS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trace, Report, str]:
    return made(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.slow
@pytest.mark.one_of(8)
def test_no_chip_shows_a_token_that_was_not_emitted(case: tuple[Trace, Report, str]) -> None:
    trace, found, _ = case
    held = {(s["request_id"], s["step"]): s for s in trace.steps}
    seen = 0
    for viewed in found.viewer:
        for step in viewed.steps:
            record = held[(step["request_id"], step["step"])]
            output, kept = record["output_token_ids"], record["num_accepted"]
            if step["last"] is not None:
                assert step["last"]["token"] == output[kept]
            assert step["parts"] == (kept != step["accepted"])
            if step["parts"]:
                shown = list(emitted(step, ids=True))
                assert [int(name) for _, name, _ in shown] == output[: len(shown)]
                assert [kind for kind, _, _ in shown].count("accepted") == min(kept, len(shown))
            seen += 1
    assert seen > 5


@pytest.mark.one_of(4)
def test_what_explain_says_was_appended_was_appended(case: tuple[Trace, Report, str]) -> None:
    trace, _, path = case
    request = trace.requests[0]["request_id"]
    held = {s["step"]: s for s in trace.steps if s["request_id"] == request}
    for step in explain(path, request=request)["steps"]:
        output, kept = held[step["step"]]["output_token_ids"], held[step["step"]]["num_accepted"]
        for token in re.findall(r"(?:It is|It appended) token (\d+)", step["sentence"]):
            assert int(token) == output[kept]


@pytest.mark.one_of(3)
def test_evidence_leads_to_its_step_and_back(case: tuple[Trace, Report, str]) -> None:
    page = html.page(case[1]).decode()
    ids = set(re.findall(r'\bid="([^"]+)"', page))
    links = set(map(unescape, re.findall(r'href="#([^"]+)"', page)))
    assert links <= ids
    assert len(re.findall(r'\bid="[^"]+"', page)) == len(ids), "no id stands twice"
    assert any(re.fullmatch(r"r\d+-step-\d+", link) for link in links)


@pytest.mark.slow
def test_nan_is_shown_as_nan(tmp_path: Path) -> None:
    trace, found, path = made("p-nan", tmp_path)
    bad = next(s for s in trace.steps if any(p != p for p in s["target_probs"] or []))
    told = explain(path, request=bad["request_id"], step=bad["step"])
    token = next(t for t in told["steps"][0]["tokens"] if "not_finite" in t)
    assert (token["target"], token["not_finite"]) == (None, {"target": "NaN"})
    assert "the target probability is NaN" in token["reason"]
    assert " NaN " in explanation(told)
    assert "p NaN" in next(chances for *_, chances, _ in chips([token], ids=False))
    assert "p NaN" in html.page(found).decode()


def step(n: int, *, agrees: bool = True, note: str | None = None) -> dict[str, Any]:
    token = {
        "position": 0, "token": 1, "target": 0.5, "draft": 0.4, "r": 0.1, "ratio": 1.25, "decision": "accepted", "reason": "why",
        "agrees": agrees,
    }  # fmt: skip
    return {
        "request_id": "a", "step": n, "rule": "ratio", "accepted": 1, "tokens": [token], "parts": not agrees, "last": None,
        "sentence": "so", "note": note, "emitted": None, "recorded": 1,
    }  # fmt: skip


def test_steps_that_follow_the_law_are_folded_and_others_are_not() -> None:
    steps = [step(0), step(1), step(2, agrees=False), step(3), step(4, note="bonus-missing"), step(5), step(6)]
    assert [[s["step"] for s in group] for group in folded(steps)] == [[0, 1], [2], [3], [4], [5, 6]]
    assert [quiet(s) for s in steps] == [True, True, False, True, False, True, True]
    short = explanation({"steps": steps[:4]}, full=False)
    assert "steps 0 to 1: nothing contradicts the ratio law" in short
    assert "step 2, ratio law" in short
    assert explanation({"steps": steps}).count("ratio law") == 7
