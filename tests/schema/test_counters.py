"""Windows from rows: what is no number leaves no hole in what is added up."""

import polars as pl
import pytest

from sdtrace.counters.sources import sources
from sdtrace.schema.counters import conformed, from_rows, no_windows, windows

ROW = {"engine": "x", "surface": "y", "basis": "interval", "drafts": 10.0, "drafted": 20.0, "accepted": 9.0}


@pytest.mark.parametrize("name", ["said_positions", "accepted_by_position", "drafted_by_position", "histogram"])
@pytest.mark.parametrize("odd", [None, "x", float("nan"), float("inf"), 1e300, [1.0]])
def test_a_list_with_a_hole_is_no_list_by_position(name: str, odd: object) -> None:
    frame = from_rows("p", [ROW | {name: [6.0, odd, 3.0]}, ROW | {name: [6.0, 5.0, 3.0]}])
    assert frame[name].to_list() == [None, [6.0, 5.0, 3.0]]
    (source,) = sources(frame)
    assert source.counts["accepted"] == 18.0


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf"), 1e300, 2.0**63, -(2.0**63)])
def test_a_frame_of_a_reader_is_held_to_the_same_bounds(odd: float) -> None:
    rows = {"drafted": [odd, 5.0], "said_positions": [[0.5, odd, 0.2], [0.5, 0.4, 0.2]], "k": [3, 3]}
    frame = windows("p", pl.DataFrame(rows))
    assert frame["drafted"].to_list() == [None, 5.0]
    if odd == odd:  # a NaN in a list is the reader's to look at: what is printed so has no steps
        assert frame["said_positions"].to_list() == [None, [0.5, 0.4, 0.2]]


@pytest.mark.parametrize("said", [{"\ud800": 1}, {"a": "\ud800"}, {1: 10**30, "\ud800": "x"}, "\ud800"])
def test_a_lone_surrogate_is_no_text(said: object) -> None:
    frame = from_rows("p", [ROW | {"said": said, "request_id": "a\ud800", "series": "\udfff"}])
    assert frame["request_id"].to_list() == ["a?"]
    assert sources(frame)[0].counts["accepted"] == 9.0


def test_windows_of_an_older_state_have_the_new_columns() -> None:
    old = no_windows().drop("verify_ms", "sample_ms")
    assert conformed(old).schema == no_windows().schema
    assert pl.concat([conformed(old), no_windows()]).is_empty()
