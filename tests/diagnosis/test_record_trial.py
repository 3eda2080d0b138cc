"""The record is tried before the engine: what it leaves open accuses nobody, what it proves is proved all the same."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sdtrace.api import report
from sdtrace.checks import CHECKS
from sdtrace.diagnosis.diagnose import Diagnosis, diagnose
from sdtrace.document.document import compose
from sdtrace.pipeline import audited
from sdtrace.results.not_checked import sentences
from sdtrace.simulate import Settings
from sdtrace.writers.convert import line
from tests.lawful.cells import Cell, accused
from tests.power.judge import Made, at_level, diagnosed, made

SMALL: dict[str, Any] = {"tested": 1500, "vocab": 128, "level": "draws"}


def wrong(source: Made) -> list[str]:
    return [c.cause for c in diagnosed(source).causes if c.side == "wrong" and c.certainty != "suspected"]


def told(source: Made) -> tuple[dict[str, Any], Diagnosis]:
    audit, other = audited([source])
    found = diagnose(audit, CHECKS, other)
    return compose(audit, found, CHECKS).document, found


def silent(source: Made, **requests: float) -> Made:
    """The same trace without a declared basis, its requests with other parameters."""
    held = [
        replace(
            b,
            runs=b.runs.with_columns(prob_basis=pl.lit(None, pl.String)),
            requests=b.requests.with_columns(pl.lit(v).alias(k) for k, v in requests.items()),
        )
        for b in source.held
    ]
    return Made(tuple(held))


@pytest.mark.one_of(3)
@pytest.mark.parametrize("variant", ["noise-0.05%", "noise-0.5%", "noise-2%"])
def test_noise_is_told_as_what_it_is(variant: str) -> None:
    document, found = told(made(Settings(variant=variant, tested=6000, vocab=128, level="draws")))
    assert {c.cause for c in found.causes} <= {"record-imprecise"}
    assert document["audit"]["disagree"] == 0
    if found.causes:
        assert found.causes[0].side == "metric"
        assert "margin" in found.causes[0].headline
        assert 0 < document["record"]["noise"] < 0.2


@pytest.mark.one_of(4)
@pytest.mark.parametrize("dtype", ["decimals:3", "float32"])
@pytest.mark.parametrize("law", ["ratio", "block"])
def test_decimals_that_were_cut_off_are_told_from_rounded_ones(law: str, dtype: str) -> None:
    """Each may be off by all of a unit; what contradicts the law then still does."""
    cut = Settings(variant="digits-cut", law=law, dtype=dtype, tested=5000, vocab=128, level="draws", seed=1)
    document, found = told(made(cut))
    assert [c.cause for c in found.causes] == ["record-imprecise"]
    assert law == "block" or "cut off" in found.causes[0].headline
    assert document["audit"]["disagree"] == 0
    lenient = Settings("lenience", law=law, dtype="decimals:3", tested=2500, vocab=128, level="draws")
    assert told(made(lenient))[1].causes[0].certainty == "proved"


@pytest.mark.slow
def test_noise_in_blocks_is_told_by_the_width_that_explains_it() -> None:
    """A decision about a block holds the products of many p: no margin of one p tells, the least width does."""
    document, found = told(made(Settings(variant="noise-2%", law="block", tested=2500, vocab=128, level="draws")))
    assert [c.cause for c in found.causes] == ["record-imprecise"]
    assert document["audit"]["disagree"] == 0


@pytest.mark.one_of(4)
@pytest.mark.parametrize(
    "cell",
    [
        Cell("noise-2%", "block", "rows", "bfloat16", 4),  # three rejections; the width of a p was tried beyond 100%
        Cell("noise-2%", "block", "basic", "float16", 8309),  # a recovered token, and no decision
        Cell(
            "noise-0.5%", "one-hot", "draws", "float64", 15
        ),  # four rejections, with three right acceptances beside them
        Cell("noise-0.5%", "tree-coin", "draws", "float64", 24),
    ],
    ids=str,
)
def test_few_contradictions_near_the_boundary_stand_on_one_side_by_chance(cell: Cell) -> None:
    assert accused(cell, 1500 if cell.level != "basic" else 400) == ()


@pytest.mark.one_of(2)
@pytest.mark.parametrize(
    "cell",
    [
        Cell(
            "lost-by-length-renumbered", "ratio", "sums", "float64", 1327
        ),  # of fewer than five requests, each lacks steps
        Cell("forced-spans", "match", "draws", "decimals:3", 9646),  # of six requests, a grammar forced three
    ],
    ids=str,
)
def test_a_few_requests_prove_no_more_than_they_hold(cell: Cell) -> None:
    assert accused(cell, 400) == ()


@pytest.mark.one_of(2)
@pytest.mark.parametrize("threshold", [0.95, 0.9])
def test_a_lenient_rule_for_blocks_is_no_noise(threshold: float) -> None:
    document, found = told(made(Settings("lenience", threshold, law="block", tested=2500, vocab=128, level="draws")))
    assert (document["record"]["noise"], found.causes[0].cause) == (None, "lenient-acceptance")


@pytest.mark.one_of(5)
@pytest.mark.parametrize(
    ("fault", "strength", "cause"),
    [
        ("lenience", 0.97, "lenient-acceptance"),
        ("lenience", 0.9, "lenient-acceptance"),
        ("flip", 0.01, "decision-mismatch"),
        ("target-temperature", 0.9, None),
        ("target-row", None, "misaligned-target-probs"),
    ],
)
def test_a_wrong_rule_is_no_noise(fault: str, strength: float | None, cause: str | None) -> None:
    """One side alone, or far from the boundary: not the recorder's fault."""
    document, found = told(made(Settings(fault, strength, tested=4000, vocab=128, level="draws")))
    first = found.causes[0]
    assert first.side == "wrong"
    assert cause in (None, first.cause)
    assert document["record"]["noise"] is None
    margins = document["audit"]["margins"]
    assert margins["accepted"] + margins["rejected"] > 0
    assert margins["largest"] >= margins["median"] > 0


@pytest.mark.one_of(3)
@pytest.mark.parametrize("variant", ["raw-null", "raw-null-hot", "raw-null-top-k"])
def test_probabilities_of_an_unknown_basis_judge_nothing(variant: str) -> None:
    document, found = told(made(Settings(variant=variant, **SMALL)))
    assert found.causes == []
    assert document["record"]["basis"] == "unknown"
    assert sum(document["audit"]["not_judged"].values()) == document["audit"]["steps"]
    assert any("prob_basis" in note for note in sentences(found.not_checked))


@pytest.mark.slow
def test_an_exact_wrong_rule_is_seen_whatever_the_basis() -> None:
    source = silent(made(Settings("inverted-ratio", **SMALL)), temperature=0.7)
    assert wrong(source) == ["inverted-ratio"]


@pytest.mark.slow
def test_parameters_that_change_nothing_leave_no_doubt() -> None:
    """At temperature 1 without filters raw and processed probabilities are the same."""
    source = silent(made(Settings("flip", 0.05, **SMALL)))
    document, _ = told(source)
    assert document["record"]["basis"] == "inferred"
    assert wrong(source) == ["decision-mismatch"]


@pytest.mark.slow
def test_requests_without_a_line_are_told_by_their_draws() -> None:
    document, found = told(made(Settings(variant="lines-lost-half-greedy-told", **SMALL)))
    assert found.causes == []
    assert document["record"]["greedy"] == "inferred"
    assert document["audit"]["disagree"] == 0
    assert {"ratio", "greedy"} <= set(document["audit"]["laws"])


@pytest.mark.slow
def test_figures_hold_what_no_law_judges() -> None:
    source = made(Settings(variant="lines-none-half-greedy", tested=1500, vocab=128, level="basic"))
    document, found = told(source)
    assert found.causes == []
    steps = sum(b.steps.height for b in source.held)
    assert document["audit"]["steps"] == document["acceptance"]["steps"] == steps


@pytest.mark.one_of(2)
@pytest.mark.parametrize("law", ["ratio", "one-hot"])
def test_num_accepted_one_too_high_is_the_recorders_fault(law: str) -> None:
    document, found = told(made(Settings(variant="num-accepted-one-more", law=law, **SMALL)))
    assert [c.cause for c in found.causes] == ["metric-inconsistent"]
    assert document["audit"]["disagree"] == 0
    honest, _ = told(made(Settings(law=law, **SMALL)))
    assert document["acceptance"]["accepted"] == honest["acceptance"]["accepted"]


def test_shards_that_overlap_count_each_step_once() -> None:
    """The same steps in two inputs are one record, and their equal uniforms no fault."""
    whole = made(Settings(**SMALL))
    held = [replace(b, steps=b.steps.filter(pl.col("step") % 3 != 0)) for b in whole.held]
    audit, other = audited([whole, Made(tuple(held), path="again")])
    found = diagnose(audit, CHECKS, other)
    assert found.causes == []
    assert audit.record.keys == "repeated"
    assert found.acceptance is not None
    assert found.acceptance["steps"] == sum(b.steps.height for b in whole.held)
    assert sum(x.count for x in audit.inputs[1].losses) == sum(b.steps.height for b in held)


@pytest.mark.slow
def test_answers_under_one_key_break_the_record(tmp_path: Path) -> None:
    """n = 4: which step follows which is not known, so no account of tokens accuses anybody."""
    rows = [json.loads(line(name, row)) for b in made(Settings(**SMALL)).held for name, frame in
            (("run", b.runs), ("request", b.requests), ("step", b.steps)) for row in frame.iter_rows(named=True)]  # fmt: skip
    for row in rows:
        if "request_id" in row:
            row["request_id"] = f"r{int(row['request_id'][1:]) // 4}"
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    document = report(path).document
    assert {c["cause"] for c in document["causes"]} <= {"record-broken"}
    assert document["record"]["keys"] in ("repeated", "conflicting")


@pytest.mark.slow
def test_tokens_that_are_forced_without_a_tag_are_no_degenerate_target() -> None:
    """A third of the requests is forced from end to end; where all are, it is no grammar."""
    document, found = told(made(Settings(variant="forced-spans", tested=8000, vocab=64, level="sums")))
    assert found.causes == []
    (check,) = [c for c in document["checks"] if c["code"] == "SD152"]
    assert check["state"] == "cannot-tell"
    assert "grammar" in check["headline"]


@pytest.mark.slow
def test_every_reason_for_which_steps_are_not_judged_is_counted() -> None:
    source = made(Settings(variant="lost-by-length-context", tested=1500, vocab=64, level="draws"))
    steps = sum(b.steps.height for b in source.held)
    document, _ = told(source)
    assert document["audit"]["not_judged"] == {"means over many tokens: losses may depend on the outcome": steps}
    bare = [
        replace(b, steps=b.steps.with_columns(target_probs=pl.lit(None, b.steps.schema["target_probs"])))
        for b in source.held
    ]
    assert told(Made(tuple(bare)))[0]["audit"]["not_judged"]["no target probability is recorded"] == steps
    null = [replace(b, runs=b.runs.with_columns(rule=pl.lit(None, pl.String))) for b in at_level(source, "basic").held]
    assert told(Made(tuple(null)))[0]["audit"]["not_judged"]["no law is certain"] == steps
