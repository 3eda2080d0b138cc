"""Requests that begin on one host and finish on another: a night counts them as a page does, whether their parts come at once or not."""

import json
from pathlib import Path
from typing import Any

import pytest

import sdtrace
from sdtrace.history.nightly import add
from sdtrace.history.state import opened
from tests.made.hosts import hosts

NIGHT = "2026-09-21"


def night(folder: Path, calls: list[list[str]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The record and the document of a night whose inputs come in `calls`."""
    with opened(folder) as state:
        for paths in calls:
            add(state, paths, night=NIGHT)
        return state.record(NIGHT), state.report(NIGHT).document


@pytest.mark.one_of(8)
@pytest.mark.parametrize("lines", [False, True], ids=["steps alone", "with request lines"])
@pytest.mark.parametrize("apart", [False, True], ids=["at once", "one after the other"])
@pytest.mark.parametrize(
    ("more", "whole"), [({}, 12), ({"goes_on": False}, 24)], ids=["moved", "two benchmarks with the same ids"]
)
def test_a_night_agrees_with_the_page(
    apart: bool, lines: bool, more: dict[str, Any], whole: int, tmp_path: Path
) -> None:
    paths = hosts(tmp_path, [("a", "b"), ("b", "a")] * 6, lines=lines, **more)
    page = sdtrace.report(paths).document
    record, document = night(tmp_path / "state", [[path] for path in paths] if apart else [paths])
    (service,) = record["services"].values()
    (cell,) = service["cells"].values()
    assert page["about"]["requests"] == document["about"]["requests"] == whole
    assert cell["tokens_per_step"][:3] == [whole, 192.0, 96.0]
    assert [c["cause"] for c in record["causes"]] == [c["cause"] for c in page["causes"]]
    assert document["acceptance"]["ci"] == page["acceptance"]["ci"]


@pytest.mark.slow
def test_a_line_where_the_request_went_on_tells_its_traffic(tmp_path: Path) -> None:
    """The host that began the request wrote no line of it."""
    paths = hosts(tmp_path, [("a", "b")] * 12, lines=True)
    first = Path(paths[0])
    rows = [line for line in first.read_text().splitlines() if json.loads(line)["kind"] != "request"]
    first.write_text("\n".join(rows) + "\n")
    record, _ = night(tmp_path / "state", [paths])
    (service,) = record["services"].values()
    assert list(service["cells"]) == ["any, sampled"]


@pytest.mark.slow
def test_parts_in_two_services_count_in_each(tmp_path: Path) -> None:
    """Each service is held against its own nights: a part that another one served is none of its traffic."""
    paths = hosts(tmp_path, [("a", "b")] * 12, lines=True)
    for path, name in zip(paths, ("prefill", "decode"), strict=True):
        head, *rows = Path(path).read_text().splitlines()
        told = json.loads(head) | {"config": {"service": name}}
        Path(path).write_text("\n".join([json.dumps(told), *rows]) + "\n")
    record, document = night(tmp_path / "state", [paths])
    assert document["about"]["requests"] == 12
    assert {name: told["cells"]["any, sampled"]["tokens_per_step"][0] for name, told in record["services"].items()} == {
        "decode": 12.0,
        "prefill": 12.0,
    }
