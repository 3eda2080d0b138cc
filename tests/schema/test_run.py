"""A run as a value has the columns of the run table and the fields of a ruling, and survives whatever stands in its texts."""

from dataclasses import fields
from typing import get_type_hints

import polars as pl
import pytest

from sdtrace.schema.run import Run, run_of, runs_of
from sdtrace.schema.trace import FLOAT, INT, RUN, STR, conform
from sdtrace.verify.rulings import Ruling


def test_its_fields_are_those_of_the_table_and_of_a_ruling() -> None:
    told, types = get_type_hints(Run), {STR: str, INT: int, FLOAT: float}
    rulings = get_type_hints(Ruling)
    assert [field.name for field in fields(Run)] == [*RUN, *(name for name in rulings if name not in RUN)]
    for name, column in RUN.items():
        assert told[name] == (str if name == "run_id" else types[column.dtype] | None), name
    for name, kind in rulings.items():
        assert told[name] == kind | None, name


def test_a_row_and_back() -> None:
    table = pl.DataFrame({"run_id": ["a", "b", "a"], "engine": ["old", None, "new"], "num_draft_tokens": [1, None, 4]})
    runs = runs_of(conform(table, "run"))
    assert runs == {"a": Run(run_id="a", engine="new", num_draft_tokens=4), "b": Run(run_id="b")}
    assert list(runs["b"].row()) == list(RUN), "nothing of a ruling where there is none"
    ruled = Run(run_id="a", prob_basis="raw", basis_doubted=True)
    assert run_of(ruled.row() | {"of a later version": 1}) == ruled


@pytest.mark.parametrize("text", [None, "", "[1]", "3", "{", '"{}"', "[" * 100_000])
def test_what_is_no_object_has_no_settings(text: str | None) -> None:
    assert Run(config=text, rule_params=text).settings == {}
    assert Run(config='{"a": 1}').settings == Run(rule_params='{"a": 1}').rule_settings == {"a": 1}
