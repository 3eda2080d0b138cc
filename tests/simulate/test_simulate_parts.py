"""`simulate --only`: a fault in a part of the traffic leaves everything else as it was."""

from pathlib import Path

import polars as pl
import pytest

from sdtrace.cli import run
from sdtrace.errors import UsageError
from sdtrace.simulate import FAULTS, PARTS, Settings, simulate
from tests.power.sliced import PLACES

#: Where each part is, by what is recorded of its steps; requests that it is confined to have a number.
NUMBERS = {
    "one-adapter": (20, 3),
    "one-tenant": (5, 1),
    "one-hour": (12, 5),
    "one-rank": (8, 3),
    "prefix-hits": (3, 1),
    "long-contexts": (4, 3),
}
NUMBER = pl.col("request_id").str.slice(1).cast(pl.Int64)
OUTCOME = ("draft_token_ids", "num_accepted", "output_token_ids", "draft_probs", "target_probs", "uniforms")


def steps(fault: str, part: str, law: str | None = None) -> pl.DataFrame:
    made = simulate(Settings(fault, None, law, 1500, 32, seed=6, only=part))
    return pl.concat([b.steps for b in made if b.steps.height])


def inside(part: str) -> pl.Expr:
    if part in NUMBERS:
        of, number = NUMBERS[part]
        return NUMBER % of == number
    return {"large-batches": pl.col("batch_size") > 8, "first-steps": pl.col("step") == 0}[part]


@pytest.mark.parametrize("part", [*NUMBERS, "large-batches", "first-steps"])
@pytest.mark.parametrize(
    "fault", ["typical-test", "draft-top-k", "recovered-from-target", "bonus-row", "bonus-missing"]
)
def test_outside_of_its_part_nothing_changes(part: str, fault: str) -> None:
    planted, healthy = steps(fault, part), steps("healthy", part)
    assert planted.filter(~inside(part)).select(OUTCOME).equals(healthy.filter(~inside(part)).select(OUTCOME))
    assert not planted.filter(inside(part)).select(OUTCOME).equals(healthy.filter(inside(part)).select(OUTCOME))


def test_positions_before_the_part_are_as_they_were() -> None:
    planted, healthy = steps("draft-top-k", "behind-the-first"), steps("healthy", "behind-the-first")
    for name in ("draft_token_ids", "draft_probs", "uniforms"):
        assert planted[name].list.first().equals(healthy[name].list.first())
        assert not planted[name].list.last().equals(healthy[name].list.last()) or name == "uniforms"


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in FAULTS if n != "healthy"])
def test_every_fault_of_every_law_goes_into_a_part(name: str) -> None:
    for law in FAULTS[name].laws:
        made = list(simulate(Settings(name, None, law, 100, 16, level="rows", seed=1, only="one-tenant")))
        tags = pl.concat([b.requests for b in made])["tags"].unique()
        assert sorted(tags)[0] == '{"tenant":"t0"}'


def test_every_part_has_its_name_in_a_report() -> None:
    assert set(PARTS) == set(PLACES)
    assert all(PARTS[name].by == by for name, (by, _) in PLACES.items())


def test_an_unknown_part_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such part of the traffic"):
        list(simulate(Settings("lenience", only="one-adaptor")))
    out = tmp_path / "x.jsonl"
    assert run(["simulate", "lenience", str(out), "--only", "one-rank", "--tested", "100", "--vocab", "16"]) == 0
    assert '"rank":2' in out.read_text()
