"""What is missing from a record: where it goes with the decision nothing is concluded from means, where it does not they stand."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from sdtrace.checks import CHECKS
from sdtrace.diagnosis.diagnose import Diagnosis, diagnose
from sdtrace.document.document import compose
from sdtrace.pipeline import audited
from sdtrace.results.not_checked import sentences
from sdtrace.simulate import VARIANTS, Settings
from sdtrace.simulate.lawful_losses import LAWFUL_LOSSES
from tests.power.judge import Made, at_level, made

#: Losses that show as such; the others are told as missing steps of which nothing is known.
SHOWN = [
    "lost-full-steps", "lost-empty-steps", "lost-by-length-context", "lists-end-with-the-block", "probabilities-of-accepted",
    "probabilities-of-rejected", "target-of-accepted", "sums-without-full-steps",
]  # fmt: skip
UNTOLD = ["lost-by-length", "lost-half-of-empty", "lost-half-of-empty-renumbered"]


def told(source: Made) -> tuple[dict[str, Any], Diagnosis]:
    audit, other = audited([source])
    found = diagnose(audit, CHECKS, other)
    return compose(audit, found, CHECKS).document, found


def lossy(variant: str, fault: str = "healthy", strength: float | None = None, tested: int = 2500) -> Made:
    level = "sums" if variant == "sums-without-full-steps" else "draws"
    trace = made(Settings(fault, strength, tested=tested, vocab=64, level="draws", variant=variant))
    return at_level(trace, "basic" if level == "draws" else level)


@pytest.mark.one_of(8)
@pytest.mark.parametrize("variant", SHOWN)
def test_losses_by_outcome_are_told_and_mute_every_mean(variant: str) -> None:
    document, found = told(lossy(variant))
    assert [c for c in found.causes if c.side == "wrong"] == []
    assert document["record"]["losses_depend_on_outcome"] is True
    assert any("every statistic over many tokens" in note for note in sentences(found.not_checked))
    assert document["acceptance"]["excess"] is None
    assert not [c["code"] for c in document["checks"] if c["code"].startswith("SD20") and c["state"] != "cannot-tell"]


@pytest.mark.one_of(3)
@pytest.mark.parametrize("variant", UNTOLD)
def test_losses_that_may_depend_on_the_outcome_accuse_nobody(variant: str) -> None:
    document, found = told(lossy(variant))
    assert [c for c in found.causes if c.side == "wrong"] == []
    assert document["record"]["losses_depend_on_outcome"] is False
    assert any("nothing shows that" in note for note in sentences(found.not_checked))


def thinned(source: Made, contexts: bool) -> Made:
    """A third of the steps is lost, whatever they held; contexts tell that they were like the others."""
    rng = np.random.default_rng(3)
    length = pl.col("output_token_ids").list.len().cast(pl.Int64)
    held = []
    for b in source.held:
        steps = (
            b.steps.with_columns(context_len=40 + length.cum_sum().over("request_id") - length) if contexts else b.steps
        )
        held.append(replace(b, steps=steps.filter(pl.Series(rng.random(steps.height) > 1 / 3))))
    return Made(tuple(held))


@pytest.mark.slow
def test_where_missing_steps_are_like_the_others_means_are_held_against_the_engine() -> None:
    trace = at_level(made(Settings("lenience", 0.7, tested=6000, vocab=64, level="draws")), "basic")
    _, known = told(thinned(trace, contexts=True))
    assert known.causes[0].cause == "lenient-acceptance"
    document, unknown = told(thinned(trace, contexts=False))
    assert [c for c in unknown.causes if c.side == "wrong"] == []
    assert document["record"]["losses_depend_on_outcome"] is False


@pytest.mark.one_of(4)
@pytest.mark.parametrize("variant", ["only-tested", "lengths-vary", "now-and-then", "lines-lost"])
def test_what_is_missing_whatever_was_decided_mutes_nothing(variant: str) -> None:
    assert VARIANTS[variant]
    document, found = told(lossy(variant))
    assert document["record"]["losses_depend_on_outcome"] is False
    assert not any("every statistic" in note for note in sentences(found.not_checked))


@pytest.mark.slow
def test_probabilities_of_some_requests_or_first_positions_mute_nothing() -> None:
    """Half of the requests log p and q, of their first two positions, and are easier than the others."""
    trace = at_level(made(Settings(variant="adapters", tested=4000, vocab=64, level="draws")), "basic")
    easy = pl.col("request_id").str.slice(1).cast(pl.Int64) % 5 < 2
    held = [
        replace(b, steps=b.steps.with_columns(
            pl.when(easy).then(pl.col(n).list.head(2)).otherwise(pl.lit([], dtype=b.steps.schema[n])).alias(n)
            for n in ("target_probs", "draft_probs")
        ))
        for b in trace.held
    ]  # fmt: skip
    document, found = told(Made(tuple(held)))
    assert document["record"]["losses_depend_on_outcome"] is False
    assert found.causes == []


@pytest.mark.slow
def test_a_wrong_rule_that_uniforms_prove_is_proved_whatever_is_missing() -> None:
    trace = made(Settings("lenience", 0.7, tested=2500, vocab=64, level="draws", variant="lost-by-length-context"))
    document, found = told(trace)
    assert document["record"]["losses_depend_on_outcome"] is True
    assert found.causes[0].cause == "lenient-acceptance"
    assert found.causes[0].certainty == "proved"


@pytest.mark.slow
def test_tokens_that_stand_in_no_step_are_missing_steps_and_no_lost_tokens() -> None:
    """Every request ends with a stop id of its own, a step in its middle is missing and the others are numbered anew."""
    held = []
    for b in lossy("sessions").held:
        steps = b.steps.sort("request_id", "step")
        last = steps.group_by("request_id").agg(pl.col("output_token_ids").last().list.last().cast(pl.Int64) + 1000)
        ends = pl.col("step") == pl.col("step").max().over("request_id")
        stop = pl.col("output_token_ids").list.eval(pl.element() + 1000).list.tail(1)
        body = pl.col("output_token_ids").list.head(pl.col("output_token_ids").list.len() - 1)
        steps = steps.with_columns(
            output_token_ids=pl.when(ends).then(pl.concat_list(body, stop)).otherwise("output_token_ids")
        )
        steps = steps.filter((pl.col("step") != 1) | ends).with_columns(step=pl.int_range(pl.len()).over("request_id"))
        stops = last.select("request_id", stop_token_ids=pl.concat_list("output_token_ids"))
        requests = b.requests.drop("stop_token_ids").join(stops, on="request_id", how="left", maintain_order="left")
        held.append(replace(b, steps=steps, requests=requests.select(b.requests.columns)))
    runs = [replace(b, runs=b.runs.with_columns(vocab_size=None)) for b in held]
    _, found = told(Made(tuple(runs)))
    assert [c.cause for c in found.causes] == ["record-broken"]
    assert found.causes[0].side == "metric"
    assert "steps are missing" in found.causes[0].headline


def test_every_loss_is_tried() -> None:
    rest = {"lost-full-steps-renumbered", "lost-by-length-renumbered", "last-of-recovered", "last-of-bonus"}
    rest |= {"drafts-end-at-the-rejection"}  # every position that was tested is there
    assert {*SHOWN, *UNTOLD} | rest == set(LAWFUL_LOSSES)
