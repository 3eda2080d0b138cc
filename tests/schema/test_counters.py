"""Windows from rows: what is no number leaves no hole in what is added up."""

import pytest

from sdtrace.counters.sources import sources
from sdtrace.schema.counters import from_rows

ROW = {"engine": "x", "surface": "y", "basis": "interval", "drafts": 10.0, "drafted": 20.0, "accepted": 9.0}


@pytest.mark.parametrize("name", ["said_positions", "accepted_by_position", "drafted_by_position", "histogram"])
@pytest.mark.parametrize("odd", [None, "x", float("nan"), float("inf"), 1e300, [1.0]])
def test_a_list_with_a_hole_is_no_list_by_position(name: str, odd: object) -> None:
    frame = from_rows("p", [ROW | {name: [6.0, odd, 3.0]}, ROW | {name: [6.0, 5.0, 3.0]}])
    assert frame[name].to_list() == [None, [6.0, 5.0, 3.0]]
    (source,) = sources(frame)
    assert source.counts["accepted"] == 18.0
