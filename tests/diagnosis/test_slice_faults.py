"""Proved faults of bonus tokens and greedy choices in one part of the traffic are named with it; those that stand everywhere are not."""

import pytest

from sdtrace.simulate import FAULTS, Settings
from tests.made.pairs import one_of
from tests.power.judge import diagnosed, made
from tests.power.sliced import letter

SHOWN = [
    ("greedy-flip", "one-rank"),
    ("bonus-missing", "one-tenant"),
    ("greedy-sampled", "behind-the-first"),
    ("bonus-duplicated", "large-batches"),
    ("bonus-missing", "prefix-hits"),
    ("greedy-sampled", "first-steps"),
]


@pytest.mark.one_of(2)
@pytest.mark.parametrize("case", one_of(3, SHOWN), ids="-".join)
def test_a_proved_fault_of_a_part_is_named_with_it(case: tuple[str, str]) -> None:
    fault, part = case
    found = diagnosed(made(Settings(fault, tested=6000, vocab=64, seed=4, only=part)))
    assert letter(found, FAULTS[fault].cause, part) == "S"
    first = next(c for c in found.causes if c.cause == FAULTS[fault].cause)
    assert first.headline.count("only where") == 1
    assert first.certainty == "proved"


@pytest.mark.parametrize("fault", ["greedy-flip", "bonus-missing"])
def test_a_proved_fault_of_all_the_traffic_has_no_part(fault: str) -> None:
    found = diagnosed(made(Settings(fault, tested=3000, vocab=64, seed=4, variant="batches")))
    first = next(c for c in found.causes if c.cause == FAULTS[fault].cause)
    assert "only where" not in first.headline
    assert not any("where" in row for row in first.evidence)
