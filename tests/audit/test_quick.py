"""The decision audit alone counts what the whole audit counts."""

from pathlib import Path

import pytest

from sdtrace.audit.quick import count_decisions
from sdtrace.writers.convert import convert
from tests.made.simulate import Scenario, document, simulate

NAMES = ("tested", "agree", "disagree", "undecidable")


@pytest.mark.parametrize("form", ["trace.jsonl", "trace"])
@pytest.mark.parametrize("fault", ["", "inverted-ratio"])
def test_it_counts_what_the_report_counts(tmp_path: Path, form: str, fault: str) -> None:
    lines = simulate(Scenario(fault=fault)).write(tmp_path / "lines.jsonl")
    path = tmp_path / form
    convert([str(lines)], path)
    audit = document(path)["audit"]
    assert count_decisions(path) == {name: audit[name] for name in NAMES}
    assert (audit["disagree"] > 0) == bool(fault)
