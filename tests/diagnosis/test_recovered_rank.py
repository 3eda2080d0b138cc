"""A recovery that uses the rejecting uniform again is seen by the uniforms alone."""

import pytest

from sdtrace.simulate import Settings
from tests.power.judge import at_level, judged, made


@pytest.mark.one_of(2)
@pytest.mark.parametrize("fault", ["recovery-reuses-draw", "healthy"])
def test_the_uniform_that_rejected_goes_with_the_id_that_was_recovered(fault: str) -> None:
    found = judged(at_level(made(Settings(fault, tested=2500, vocab=128, level="draws")), "draws"))
    wrong = fault != "healthy"
    assert found.causes == (("shared-noise",) if wrong else ())
    assert ("SD205" in found.fired) is wrong
