"""The number of a request: written down here, so that no version of a library and no machine may change it."""

import re
from pathlib import Path

import polars as pl
import pytest

from sdtrace.schema.keys import hashes_of, keyed, request_hash

PACKAGE = Path(__file__).parents[2] / "sdtrace"

#: (run_id, request_id) -> BLAKE2b of "LENGTH OF RUN:RUN REQUEST" (8 bytes, big-endian)
KNOWN = {
    ("run-1", "req-1"): 15706786824519964259,
    ("run-1", "req-2"): 3369200233285568473,
    ("", ""): 4624554156401727479,
    ("a", "bc"): 17109218681013626300,
    ("ab", "c"): 5866573247733911556,
    ("prüfung", "逐次"): 228362975067761641,
    (None, "req-1"): 10174486113490492739,
    ("", "req-1"): 10174486113490492739,
}


def table(pairs: list[tuple[str | None, str]]) -> pl.DataFrame:
    return pl.DataFrame(pairs, schema={"run_id": pl.String, "request_id": pl.String}, orient="row")


@pytest.fixture(autouse=True, params=[0, 1024], ids=["as of many rows", "as of few rows"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows are hashed one after the other, many by what differs: the number is the same."""
    monkeypatch.setattr("sdtrace.schema.keys._FEW", request.param)


@pytest.mark.parametrize("pair", KNOWN, ids=str)
def test_the_number_of_a_request_is_for_ever(pair: tuple[str | None, str]) -> None:
    assert keyed(table([pair]))["hash"].to_list() == [KNOWN[pair]]


@pytest.mark.parametrize("times", [1, 3, 9], ids=["interleaved", "in blocks", "in long blocks"])
def test_every_row_has_the_number_of_its_request(times: int) -> None:
    pairs = [pair for pair in KNOWN for _ in range(times)] * 3
    found = keyed(table(pairs))
    assert found["hash"].dtype == pl.UInt64
    assert found["hash"].to_list() == [KNOWN[pair] for pair in pairs]


def test_a_table_without_rows_has_no_number() -> None:
    assert keyed(table([]))["hash"].to_list() == []


@pytest.mark.parametrize("pairs", [[], [("", "")], [("a", "bc"), ("a", "bc"), ("ab", "c"), ("a", "bc")]], ids=len)
def test_the_requests_of_a_batch_are_each_named_once(pairs: list[tuple[str | None, str]]) -> None:
    """A batch has no row left where another input had all of its steps."""
    assert sorted(hashes_of(keyed(table(pairs)))["hash"].to_list()) == sorted({KNOWN[pair] for pair in pairs})


def test_a_request_id_alone_has_a_number_of_its_own() -> None:
    assert request_hash(table([("x", "req-1"), ("y", "req-1")]), ["request_id"]).n_unique() == 1


def test_no_other_hash_is_kept() -> None:
    """polars' hash differs from release to release. Where it finds equal rows within one call it may stay."""
    using = {p.name for p in PACKAGE.rglob("*.py") if re.search(r"\.hash\(|hash_rows", p.read_text())}
    assert using == {"draws.py", "keys.py", "repeated.py", "tally.py", "validate.py"}
