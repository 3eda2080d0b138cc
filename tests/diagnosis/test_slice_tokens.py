"""Drafts, recovered and bonus tokens that are wrong in one part of the traffic: the part is named, and which of them it is."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from sdtrace.audit.audit import audit
from sdtrace.checks import CHECKS
from sdtrace.diagnosis.diagnose import Diagnosis
from sdtrace.schema.arrays import Floats
from sdtrace.schema.run import Run
from sdtrace.simulate import FAULTS, Settings
from sdtrace.tally.evidence.slots import slots
from sdtrace.tally.evidence.weights import lean
from sdtrace.tally.tally import Tally
from sdtrace.verify.positions import positions
from sdtrace.verify.scope import of_sample
from tests.made.pairs import one_of
from tests.power.judge import at_level, diagnosed, made
from tests.power.sliced import letter

#: Fault, part, log level and decisions that show it there.
SHOWN = [
    ("residual-squared", "one-tenant", "sums", 16000),
    ("draft-temperature", "one-rank", "sums", 12000),
    ("residual-argmax", "large-batches", "basic", 12000),
    ("bonus-row", "one-hour", "sums", 12000),
    ("raw-q", "prefix-hits", "basic", 16000),
    ("argmax-draft", "one-adapter", "basic", 12000),
    ("peeking-trim", "long-contexts", "basic", 8000),
    ("residual-squared", "behind-the-first", "basic", 20000),
    ("draft-temperature", "first-steps", "sums", 40000),
    ("draft-top-k", "large-batches", "sums", 12000),
]


def planted(fault: str, part: str, level: str, tested: int) -> Diagnosis:
    trace = made(Settings(fault, tested=tested, vocab=64, level="sums", seed=11, only=part))
    return diagnosed(at_level(trace, level))


@pytest.mark.one_of(6)
@pytest.mark.parametrize("case", one_of(4, SHOWN), ids=lambda case: "-".join(map(str, case)))
def test_wrong_tokens_of_a_part_are_named_with_it(case: tuple[str, str, str, int]) -> None:
    fault, part, level, tested = case
    assert letter(planted(fault, part, level, tested), FAULTS[fault].cause, part) == "S"


def test_what_is_wrong_everywhere_is_in_no_part() -> None:
    trace = made(Settings("residual-squared", tested=8000, vocab=64, level="sums", seed=11, variant="batches"))
    first = next(c for c in diagnosed(trace).causes if c.side == "wrong")
    assert first.cause == "recovered-not-residual"
    assert "only where" not in first.headline


def tally(line: int) -> Tally:
    """Of one batch (the whole sample of it is kept) that begins at some line."""
    trace = made(Settings("healthy", tested=3000, vocab=64, level="sums", seed=2, only="one-tenant"))
    later = [replace(b, steps=b.steps.with_columns(line=pl.col("line") + (line - 1))) for b in trace.held]
    return audit([replace(trace, held=tuple(later))], CHECKS).tally


def test_sums_of_tokens_are_those_of_their_slots() -> None:
    whole = tally(1)
    assert whole.steps is not None
    here = slots(of_sample(positions(whole.steps), Run(rule="ratio", prob_dtype="float32"), "ratio"))
    gamma = np.minimum(here.q_y / here.p_y, 1.0)
    open_ = here.seen & (gamma > 0) & (gamma < 1)
    d: Floats = here.accepted - gamma
    weight = lean(here.q_y)
    asked = whole.steps["request_id"].gather(here.row)
    wanted = pl.DataFrame({
        "request_id": asked, "n": np.ones(len(d)), "d": d, "v": gamma * (1 - gamma), "w": d * weight, "place": here.place,
    }).filter(pl.Series(open_))  # fmt: skip
    by_place = wanted.group_by("place").agg(pl.col("n", "d", "v", "w").sum()).sort("place")
    got = {name: frame for (name,), frame in whole.frame("token_slices").group_by("quantity")}
    places = got["emitted"].filter(by="position").sort("value")
    assert places["d"].to_list() == pytest.approx(by_place["d"].to_list())
    assert places["v"].to_list() == pytest.approx(by_place["v"].to_list())
    leaning = got["leaning"].filter(by="position").sort("value")
    assert leaning["d"].to_list() == pytest.approx(by_place["w"].to_list())
    assert leaning.select("n", "s").equals(places.select("n", "s"))
    sums = whole.frame("token_sums").filter(quantity="emitted").sort("request_id")
    by_request = wanted.group_by("request_id").agg(pl.col("n", "d").sum()).sort("request_id")
    assert sums["request_id"].to_list() == by_request["request_id"].to_list()
    assert sums["d"].to_list() == pytest.approx(by_request["d"].to_list())
    assert set(got) == {"emitted", "leaning", "drafted", "alone"}
    assert "position" not in set(got["alone"]["by"])


@pytest.mark.parametrize(("line", "looked"), [(1, True), (60_000, True), (70_000, False), (1 << 20, True)])
def test_one_stretch_of_lines_in_sixteen_is_looked_at(line: int, looked: bool) -> None:
    found = tally(line)
    assert (found.frame("token_slices").height > 0) is looked
    assert found.frame("slices").height > 0
